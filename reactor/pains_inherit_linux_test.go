package reactor_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// envListing has TestNothingOfALoopIsInherited, in a process of its own, write
// what descriptors it has to the named file.
const envListing = "REACTOR_TEST_LISTING"

// TestNothingOfALoopIsInherited: a program started by a process with a busy loop
// finds the same descriptors as one started before there was a loop.
func TestNothingOfALoopIsInherited(t *testing.T) {
	if path := os.Getenv(envListing); path != "" {
		must(t, os.WriteFile(path, []byte(listDescriptors(t)), 0o600))
		return
	}
	loop := newLoop(t)
	must(t, loop.Close())
	before := listInChild(t)

	loop = newLoop(t)
	if _, err := loop.FD(); !errors.Is(err, reactor.ErrUnsupported) { // poll(2) has none
		must(t, err)
	}
	for _, transport := range fdtest.Transports() {
		l := newLink(t, loop, transport, nil)
		l.peer.Send(t, []byte("x"))
	}
	cat, stdin := startCat(t)
	_, err := loop.WatchProcess(cat.Process.Pid, func() {})
	must(t, err)
	loop.AfterFunc(time.Hour, func() {}).Unref()
	pollTimes(t, loop, 3)
	after := listInChild(t)

	if before == "" || before != after {
		t.Errorf("a child has\n%s\nwith a loop, and without one:\n%s", after, before)
	}
	must(t, stdin.Close())
	pollUntil(t, loop, func() bool { return loop.Stats().Refs <= 4 })
	must(t, cat.Wait())
}

// listInChild starts this binary and returns what descriptors it finds.
func listInChild(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "listing")
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	cmd := aloneCommand(ctx, t, nil, envListing+"="+path)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	listing, err := os.ReadFile(path)
	must(t, err)
	return string(listing)
}

// listDescriptors returns the numbers of this process's descriptors and what they
// are, without what tells one pipe from another.
func listDescriptors(t *testing.T) string {
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	must(t, err)
	var lines []string
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil {
			continue // ReadDir's own
		}
		target, _, _ = strings.Cut(target, ":[")
		lines = append(lines, fmt.Sprint(e.Name(), " ", target))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
