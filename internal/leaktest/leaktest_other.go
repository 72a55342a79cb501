//go:build !linux

package leaktest

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// highestFD is as far as openFDs looks: tests do not open that many.
const highestFD = 1024

// settleRuntime makes the Go runtime open the descriptors of its own poller,
// which it does when the first pollable file is opened, and keeps for ever.
func settleRuntime() {
	r, w, err := os.Pipe()
	if err == nil {
		r.Close()
		w.Close()
	}
}

// openFDs asks for every number whether it is open: not every system has a
// directory of a process's descriptors.
func openFDs() map[string]string {
	found := make(map[string]string)
	for fd := range highestFD {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			id := fmt.Sprint(fd)
			found[id] = "fd " + id
		}
	}
	return found
}

// children knows of none: there is no portable way to list them without
// reaping them.
func children() map[string]string { return nil }
