package sock_test

import (
	"context"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/poller"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/sock"
)

// reluctant is a poller that can refuse to watch anything more, as epoll does when a user's watches are used up.
type reluctant struct {
	reactor.Poller
	refusing bool
}

func (r *reluctant) Add(fd int, gen uint32, interest poller.Interest) error {
	if r.refusing {
		return unix.ENOSPC
	}
	return r.Poller.Add(fd, gen, interest)
}

func newReluctantLoop(t *testing.T) (*reactor.Loop, *reluctant) {
	t.Helper()
	p, err := poller.Open("")
	must(t, err)
	r := &reluctant{Poller: p}
	return newLoopWith(t, reactor.Config{Poller: r}), r
}

// busyPath is the path of a Unix socket whose backlog is full: connecting to it is repeated until there is room.
func busyPath(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "busy")
	fds := make([]int, 3) // a listener with room for one, who connects, and who finds no room
	for i := range fds {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		must(t, err)
		t.Cleanup(func() { unix.Close(fd) })
		fds[i] = fd
	}
	must(t, unix.Bind(fds[0], &unix.SockaddrUnix{Name: path}))
	must(t, unix.Listen(fds[0], 0))
	must(t, unix.Connect(fds[1], &unix.SockaddrUnix{Name: path}))
	wantErr(t, unix.Connect(fds[2], &unix.SockaddrUnix{Name: path}), unix.EAGAIN)
	return path
}

// A listener that was ended by Shutdown gave back a descriptor, for which another one had waited, that could not be
// watched again, and whose OnError stopped a dial: that dial's function was called all the same, and what came behind
// it in the list was left as it was.
func TestOnErrorDuringShutdownMayStopOthers(t *testing.T) {
	loop, poller := newReluctantLoop(t)
	listen(t, loop, "tcp", "127.0.0.1:0", sock.ListenConfig{}, ignore)
	path := busyPath(t)
	stopped, of := dial(t, loop, "unix", path, sock.DialConfig{}, reactor.StreamConfig{})
	calls := 0
	config := sock.ListenConfig{OnError: func(error) {
		if calls++; calls == 2 {
			stopped.Stop()
		}
	}}
	waiting, _ := failing(t, loop, config, unix.EMFILE)
	client(t, waiting.Addr())
	pollUntil(t, loop, func() bool { return waiting.Stats().Backoffs == 1 })
	other := listen(t, loop, "tcp", "127.0.0.1:0", sock.ListenConfig{}, ignore)
	poller.refusing = true
	loop.Post(func() { // in the first iteration of Shutdown
		if waiting.FD() >= 0 || other.FD() >= 0 {
			t.Errorf("listeners are open: fds %d and %d", waiting.FD(), other.FD())
		}
	})
	must(t, loop.Shutdown(context.Background()))
	if calls != 2 || of.calls != 0 {
		t.Errorf("OnError was called %d times, the function of a dial that it stopped %d times", calls, of.calls)
	}
}
