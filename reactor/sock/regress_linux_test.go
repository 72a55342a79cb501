package sock_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/poller"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/reactortest"
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

func newReluctantLoop(t *testing.T, config reactor.Config) (*reactor.Loop, *reluctant) {
	t.Helper()
	p, err := poller.Open("")
	must(t, err)
	r := &reluctant{Poller: p}
	config.Poller = r
	return newLoopWith(t, config), r
}

// busyPath is the path of a Unix socket whose backlog is full: connecting to it is repeated until there is room.
func busyPath(t *testing.T) string {
	t.Helper()
	path := filepath.Join(shortDir(t), "busy")
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

// waitingListener is one that waits for a descriptor, and will find that it cannot be watched again.
func waitingListener(t *testing.T, loop *reactor.Loop, poller *reluctant, onError func()) *sock.Listener {
	t.Helper()
	calls := 0
	l, _ := failing(t, loop, sock.ListenConfig{OnError: func(error) {
		if calls++; calls == 2 { // the first is for want of a descriptor
			onError()
		}
	}}, unix.EMFILE)
	client(t, l.Addr())
	pollUntil(t, loop, func() bool { return l.Stats().Backoffs == 1 })
	poller.refusing = true
	t.Cleanup(func() { poller.refusing = false })
	return l
}

// A listener that was ended by Shutdown gave back a descriptor, for which another one had waited, whose OnError stopped a
// dial: that dial's function was called all the same, and what came behind it in the list was left as it was.
func TestNoOnErrorIsCalledAmidAShutdown(t *testing.T) {
	loop, poller := newReluctantLoop(t, reactor.Config{Clock: reactortest.NewClock()})
	listen(t, loop, "tcp", "127.0.0.1:0", sock.ListenConfig{}, ignore)
	stopped, d := dial(t, loop, "unix", busyPath(t), sock.DialConfig{}, reactor.StreamConfig{})
	waiting := waitingListener(t, loop, poller, func() {
		t.Error("OnError was called")
		stopped.Stop()
	})
	loop.Post(func() { // in the first iteration of Shutdown
		if waiting.FD() >= 0 {
			t.Error("the listener is open")
		}
	})
	must(t, loop.Shutdown(context.Background()))
	if d.calls != 1 || !errors.Is(d.err, reactor.ErrClosed) {
		t.Errorf("the function of the dial was called %d times, with %v", d.calls, d.err)
	}
}

// Such an OnError was called inside whatever gave back a descriptor.
func TestNoOnErrorIsCalledInsideACallOfSomethingElse(t *testing.T) {
	for name, begin := range map[string]func(t *testing.T, loop *reactor.Loop) (end func()){
		"PacketConn": func(t *testing.T, loop *reactor.Loop) func() {
			p, _ := listenPacket(t, loop, "udp", "127.0.0.1:0", sock.PacketConfig{})
			return p.Close
		},
		"Listener": func(t *testing.T, loop *reactor.Loop) func() {
			return listen(t, loop, "tcp", "127.0.0.1:0", sock.ListenConfig{}, ignore).Close
		},
		"Dialing": func(t *testing.T, loop *reactor.Loop) func() {
			d, _ := dial(t, loop, "unix", busyPath(t), sock.DialConfig{}, reactor.StreamConfig{})
			return d.Stop
		},
	} {
		t.Run(name, func(t *testing.T) {
			loop, poller := newReluctantLoop(t, reactor.Config{Clock: reactortest.NewClock()})
			end := begin(t, loop)
			called := false
			waitingListener(t, loop, poller, func() { called = true })
			if end(); called {
				t.Error("OnError was called inside the call")
			}
			pollUntil(t, loop, func() bool { return called })
		})
	}
}

// When such an OnError panicked the OnClose of a
// stream, and the function of a dial, were never called.
func TestPanicOfAListenersOnErrorKeepsNobodyFromTheirEnd(t *testing.T) {
	for name, begin := range map[string]func(t *testing.T, loop *reactor.Loop, clock *reactortest.Clock) (goOn func(), ended func() bool){
		"stream": func(t *testing.T, loop *reactor.Loop, _ *reactortest.Clock) (func(), func() bool) {
			var s *reactor.Stream
			closed := 0
			l := listen(t, loop, "tcp", "127.0.0.1:0", sock.ListenConfig{}, func(c *sock.Conn) {
				s, _ = c.Stream(reactor.StreamConfig{OnClose: func(error) { closed++ }})
			})
			client(t, l.Addr())
			pollUntil(t, loop, func() bool { return s != nil })
			return s.Close, func() bool { return closed == 1 }
		},
		"dial": func(t *testing.T, loop *reactor.Loop, clock *reactortest.Clock) (func(), func() bool) {
			_, d := dial(t, loop, "unix", busyPath(t), sock.DialConfig{Timeout: time.Millisecond}, reactor.StreamConfig{})
			goOn := func() { clock.Advance(2 * time.Millisecond) } // the listener waits for five
			return goOn, func() bool { return d.calls == 1 && errors.Is(d.err, sock.ErrTimeout) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			panics := 0
			clock := reactortest.NewClock()
			loop, poller := newReluctantLoop(t, reactor.Config{Clock: clock, OnPanic: func(*reactor.Panic) { panics++ }})
			goOn, ended := begin(t, loop, clock)
			waitingListener(t, loop, poller, func() { panic("in OnError") })
			goOn()
			pollUntil(t, loop, func() bool { return panics > 0 })
			if !ended() {
				t.Error("nobody was told of the end")
			}
		})
	}
}

// A listener that sheds went on to the end of its turn when there was nothing to accept any more: for each connection it
// gave up its reserve 63 times for nothing, with four system calls each time.
func TestShedEndsTheTurnWhenThereIsNothingToAccept(t *testing.T) {
	loop := newLoop(t)
	l := listen(t, loop, "tcp", "127.0.0.1:0", sock.ListenConfig{Shed: true}, ignore)
	calls, reserved := 0, false
	l.SetAccept(func(accept func() (int, error)) (int, error) {
		calls++
		if reserved = !reserved; reserved { // every other one is made with the reserve given up
			return -1, unix.EMFILE
		}
		return accept()
	})
	client(t, l.Addr())
	pollUntil(t, loop, func() bool { return l.Stats().Shed == 1 })
	if calls != 4 || l.Stats().Backoffs != 0 {
		t.Errorf("accept was called %d times: %+v", calls, l.Stats())
	}
}

// The listener of an abstract socket, adopted, removed the socket file that had the same name in the working directory.
func TestAdoptedAbstractListenerHasNoFile(t *testing.T) {
	t.Chdir(t.TempDir())
	loop := newLoop(t)
	const name = "@evfork-test-of-an-adopted-listener"
	stale(t, "./"+name)
	original, err := net.Listen("unix", name)
	must(t, err)
	l, err := sock.AdoptListener(loop, original, sock.ListenConfig{}, ignore)
	must(t, err)
	l.Close()
	_, err = os.Lstat(name)
	must(t, err)
}
