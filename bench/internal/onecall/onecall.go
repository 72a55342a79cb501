// Package onecall is the parent of the programs whose workers' memory is
// measured.
package onecall

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

// request is a payload of 32 bytes, as those of the other contestants: a string of 31 behind its length.
const request = "abcdefghijklmnopqrstuvwxyzabcde"

// Main runs the worker, or makes one call to it, prints its pid and waits for
// the end of the input.
func Main(worker child.WorkerFunc) {
	child.Main(child.Workers{"worker": worker})
	if err := parent(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func parent() error {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return err
	}
	defer loop.Close()
	proc, err := child.Start(loop, child.Config{Worker: "worker"})
	if err != nil {
		return err
	}
	client, err := rpc.NewClient(proc, rpc.Config{})
	if err != nil {
		return err
	}
	answered := false
	var failed error
	err = client.Go(func(reply rpc.Payload, err error) {
		if answered, failed = true, err; err == nil && string(reply) != string(rpc.Strings(request)) {
			failed = fmt.Errorf("a reply differs from its call")
		}
	}, request)
	if err != nil {
		return err
	}
	err = loop.RunUntil(context.Background(), func() bool { return answered })
	if err != nil || failed != nil {
		return fmt.Errorf("call: %w, %w", err, failed)
	}
	fmt.Println(proc.PID())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
