package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The children of the idle loop in C outlived it for ever if it was killed, or failed.
func TestIdleChildrenOfCEndWithTheirParent(t *testing.T) {
	_, libev, _, _ := cLibraries()
	if err := libev.available(); err != nil {
		t.Skip(err)
	}
	const children = 2
	cmd, err := libev.command("idle", 3, children)
	if err != nil {
		t.Fatal(err)
	}
	idle, err := startIdle(cmd)
	if err != nil {
		t.Fatal(err)
	}
	exits := childrenOf(t, cmd.Process.Pid)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	idle.stdin.Close()
	_ = cmd.Wait()
	if len(exits) != children {
		t.Errorf("%d children, want %d", len(exits), children)
	}
	for _, fd := range exits {
		const patience = 10_000 // ms: far more than it takes
		if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, patience); n != 1 {
			t.Errorf("a child is still there: %v", err)
		}
		unix.Close(fd)
	}
}

// childrenOf returns a descriptor for each child of a process, which is readable when that has exited.
func childrenOf(t *testing.T, pid int) (exits []int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		t.Skip(err)
	}
	for field := range strings.FieldsSeq(string(text)) {
		child, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		fd, err := unix.PidfdOpen(child, 0)
		if err != nil {
			t.Fatal(err)
		}
		exits = append(exits, fd)
	}
	return exits
}
