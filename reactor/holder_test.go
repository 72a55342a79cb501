package reactor_test

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
)

// holder is a process that holds duplicates of both ends of a pipe, and writes to it when asked.
type holder struct {
	ask  int // write here: it is copied into the pipe
	seen int // our duplicate of the pipe's read end, which nobody watches
	wait func()
}

// writes has the process write to the pipe and waits until the kernel would
// report it.
func (h *holder) writes(t *testing.T) {
	t.Helper()
	_, err := unix.Write(h.ask, []byte("x"))
	must(t, err)
	fdtest.Await(t, h.seen, unix.POLLIN)
}

func (h *holder) end() {
	unix.Close(h.ask)
	unix.Close(h.seen)
	h.wait()
}

// holdInChild starts a process that inherits both ends of the pipe.
func holdInChild(t *testing.T, p *fdtest.End) *holder {
	t.Helper()
	askR, askW := fdtest.Pipe(t)
	must(t, unix.SetNonblock(askR, false)) // it is the child's stdin
	cmd := exec.Command("cat")
	files := []*os.File{
		os.NewFile(uintptr(askR), "ask"),
		os.NewFile(uintptr(fdtest.Dup(t, p.Write)), "pipe's write end"),
		os.NewFile(uintptr(fdtest.Dup(t, p.Read)), "pipe's read end"),
	}
	cmd.Stdin, cmd.Stdout = files[0], files[1]
	cmd.ExtraFiles = files[2:]
	start(t, cmd)
	for _, f := range files {
		must(t, f.Close())
	}
	return &holder{ask: askW, seen: fdtest.Dup(t, p.Read), wait: func() { must(t, cmd.Wait()) }}
}
