package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// A pipedChild is a child process that reads from its fd 3 and writes to its
// fd 4, seen from the parent.
type pipedChild struct {
	cmd    *exec.Cmd
	reader *os.File // what the child writes
	writer *os.File // what the child reads
}

// workerCommand runs this binary again as the named worker of the registry.
func workerCommand(name string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), workerVariable+"="+name)
	return cmd, nil
}

func startPiped(cmd *exec.Cmd) (*pipedChild, error) {
	childReads, parentWrites, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	parentReads, childWrites, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.ExtraFiles = []*os.File{childReads, childWrites}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	childReads.Close()
	childWrites.Close()
	return &pipedChild{cmd: cmd, reader: parentReads, writer: parentWrites}, nil
}

func (c *pipedChild) Read(p []byte) (int, error)  { return c.reader.Read(p) }
func (c *pipedChild) Write(p []byte) (int, error) { return c.writer.Write(p) }

// Close closes both pipes, which is how the child learns that it may go. It may
// be called again: net/rpc's client calls it too.
func (c *pipedChild) Close() error {
	err := c.writer.Close()
	return errors.Join(err, c.reader.Close())
}

// end closes the pipes and waits for the child to exit cleanly.
func (c *pipedChild) end() error {
	c.Close()
	if err := c.cmd.Wait(); err != nil {
		return fmt.Errorf("the child: %w", err)
	}
	return nil
}
