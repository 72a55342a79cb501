package rpc_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/rpc"
)

// The pipe that is read, of a child by its parent and by a child with a loop of its parent, is reported by epoll(7) once for
// what has come, and costs no system call to look for more.
func TestPipesOfBothSidesAreEdgeTriggered(t *testing.T) {
	f := newFixture(t)
	if f.Backend() != "epoll" {
		t.Skip("it is epoll(7) that shows what it was asked for")
	}
	t.Run("client", func(t *testing.T) {
		read, theirs := pipe(t)
		unread, write := pipe(t)
		defer fileOf(unread).Close()
		c := f.client(rpc.NewStreamTransport(f.Loop, read, write), peer{}, rpc.Config{})
		must(t, f.Poll(0))
		f.isEdgeTriggered(read)
		must(t, unix.Close(theirs))
		f.until(func() bool { return c.Go(nil) != nil })
	})
	t.Run("server", func(t *testing.T) {
		read, theirs := pipe(t)
		unread, write := pipe(t)
		defer fileOf(unread).Close()
		_, err := unix.Write(theirs, []byte(clientHello+frame(1, "")))
		must(t, err)
		calls := 0
		must(t, rpc.ServeAsync(twoFDs{read, write}, f.Loop, func(_ rpc.Payload, done rpc.Done) {
			calls++
			f.isEdgeTriggered(read)
			must(t, done.Reply())
			must(t, unix.Close(theirs))
		}))
		if calls != 1 {
			t.Errorf("%d calls have come", calls)
		}
	})
}

// isEdgeTriggered fails the test unless epoll(7) was asked to report changes of fd only.
func (f *fixture) isEdgeTriggered(fd int) {
	f.t.Helper()
	infos, err := filepath.Glob("/proc/self/fdinfo/*")
	must(f.t, err)
	for _, name := range infos {
		info, _ := os.ReadFile(name) // an error means that the descriptor has been closed
		for line := range strings.Lines(string(info)) {
			var of int
			var events uint32
			if n, _ := fmt.Sscanf(line, "tfd: %d events: %x", &of, &events); n == 2 && of == fd {
				if events&unix.EPOLLET == 0 {
					f.t.Errorf("descriptor %d is registered for %x", fd, events)
				}
				return
			}
		}
	}
	f.t.Errorf("descriptor %d is not registered", fd)
}

func pipe(t *testing.T) (read, write int) {
	t.Helper()
	var fds [2]int
	must(t, unix.Pipe2(fds[:], unix.O_CLOEXEC))
	return fds[0], fds[1]
}
