package sock_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/sock"
)

// failing listens with an accept that fails with the errors one after the other,
// and then works.
func failing(t testing.TB, loop *reactor.Loop, config sock.ListenConfig, errs ...error) (l *sock.Listener, accepted *int) {
	t.Helper()
	accepted = new(int)
	l = listen(t, loop, "tcp", "127.0.0.1:0", config, func(*sock.Conn) { *accepted++ })
	l.SetAccept(func(accept func() (int, error)) (int, error) {
		if len(errs) == 0 {
			return accept()
		}
		err := errs[0]
		errs = errs[1:]
		return -1, err
	})
	return l, accepted
}

func TestErrorsOfOneConnectionDoNotEndTheListener(t *testing.T) {
	for _, errno := range []unix.Errno{
		unix.EINTR, unix.ECONNABORTED, unix.ECONNRESET, unix.EPROTO, unix.EPERM, unix.ENETDOWN, unix.ENETUNREACH,
		unix.ENOPROTOOPT, unix.EHOSTDOWN, unix.EHOSTUNREACH, unix.EOPNOTSUPP, unix.ETIMEDOUT,
	} {
		t.Run(errno.Error(), func(t *testing.T) {
			loop := newLoop(t)
			var reported error
			l, accepted := failing(t, loop, sock.ListenConfig{OnError: func(err error) { reported = err }}, errno)
			client(t, l.Addr())
			pollUntil(t, loop, func() bool { return *accepted == 1 })
			if l.Stats().Backoffs != 0 {
				t.Error("has paused")
			}
			if errno != unix.EINTR {
				wantErr(t, reported, errno)
			}
		})
	}
}

func TestWantOfDescriptorsPausesAndGoesOn(t *testing.T) {
	for _, errno := range []unix.Errno{unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.EINVAL} {
		t.Run(errno.Error(), func(t *testing.T) {
			loop, clock := newHandLoop(t)
			var reported []error
			config := sock.ListenConfig{OnError: func(err error) { reported = append(reported, err) }}
			l, accepted := failing(t, loop, config, errno, errno, errno)
			client(t, l.Addr())
			pollUntil(t, loop, func() bool {
				clock.Advance(time.Millisecond)
				return *accepted == 1
			})
			if s := l.Stats(); s.Backoffs != 3 || s.Errors != 3 {
				t.Errorf("stats: %+v", s)
			}
			if len(reported) != 1 {
				t.Errorf("reported %v, want one of the three errors within a second", reported)
			}
			wantErr(t, reported[0], errno)
		})
	}
}

func TestListenerWithoutDescriptorsDoesNotSpin(t *testing.T) {
	loop, _ := newHandLoop(t) // the pause does not end
	l, _ := failing(t, loop, sock.ListenConfig{}, unix.EMFILE)
	client(t, l.Addr())
	pollUntil(t, loop, func() bool { return l.Stats().Backoffs == 1 })
	events := loop.Stats().Events
	pollTimes(t, loop, 10)
	if n := loop.Stats().Events - events; n != 0 {
		t.Errorf("%d events for a socket that is not to be looked at", n)
	}
	if loop.Stats().Refs == 0 {
		t.Error("a listener that waits does not keep Run")
	}
}

func TestPausesGrowUntilAConnectionIsAccepted(t *testing.T) {
	loop := newLoop(t)
	const errs = 10
	l, accepted := failing(t, loop, sock.ListenConfig{}, slices.Repeat([]error{unix.EMFILE}, errs)...)
	client(t, l.Addr())
	want := 5 * time.Millisecond
	for i := range errs {
		if got := l.NextWait(); got != want {
			t.Errorf("pause %d is %v, want %v", i, got, want)
		}
		must(t, l.Resume()) // without waiting for its end
		pollUntil(t, loop, func() bool { return l.Stats().Backoffs == uint64(i+1) })
		want = min(2*want, time.Second)
	}
	must(t, l.Resume())
	pollUntil(t, loop, func() bool { return *accepted == 1 })
	if got := l.NextWait(); got != 5*time.Millisecond {
		t.Errorf("after a connection the next pause is %v", got)
	}
}

func TestListenerWhoseEveryConnectionFailsDoesNotSpin(t *testing.T) {
	loop := newLoop(t)
	l := listen(t, loop, "tcp", "127.0.0.1:0", sock.ListenConfig{}, ignore)
	l.SetAccept(func(func() (int, error)) (int, error) { return -1, unix.EPERM })
	client(t, l.Addr())
	pollUntil(t, loop, func() bool { return l.Stats().Backoffs == 1 })
}

func TestListenerWithoutDescriptorsResumesWhenAStreamCloses(t *testing.T) {
	for _, own := range []bool{false, true} {
		t.Run(fmt.Sprintf("OnClose %v", own), func(t *testing.T) {
			loop, clock := newHandLoop(t)
			var first *reactor.Stream
			var full, closed bool
			accepted := 0
			l := listen(t, loop, "tcp", "127.0.0.1:0", sock.ListenConfig{}, func(c *sock.Conn) {
				accepted++
				if accepted > 1 {
					return
				}
				config := reactor.StreamConfig{}
				if own {
					config.OnClose = func(error) { closed = true }
				}
				first, _ = c.Stream(config)
			})
			l.SetAccept(func(accept func() (int, error)) (int, error) {
				if full {
					return -1, unix.EMFILE
				}
				return accept()
			})
			client(t, l.Addr())
			pollUntil(t, loop, func() bool { return first != nil })
			full = true
			client(t, l.Addr())
			pollUntil(t, loop, func() bool { // until the pause is a long one
				clock.Advance(time.Millisecond)
				return l.Stats().Backoffs == 6
			})
			full = false
			timers := loop.Stats().Timers
			first.Close()
			for range 3 {
				must(t, loop.Poll(0))
			}
			if accepted != 2 || loop.Stats().Timers != timers {
				t.Errorf("%d accepted after %d timers", accepted, loop.Stats().Timers-timers)
			}
			if closed != own {
				t.Error("the stream's own OnClose was not called")
			}
		})
	}
}

func TestListenerWithoutDescriptorsCanBePausedResumedAndClosed(t *testing.T) {
	loop := newLoop(t)
	l, accepted := failing(t, loop, sock.ListenConfig{}, unix.EMFILE, unix.EMFILE)
	client(t, l.Addr())
	pollUntil(t, loop, func() bool { return l.Stats().Backoffs == 1 })
	l.Pause()
	if refs := loop.Stats().Refs; refs != 0 {
		t.Errorf("paused: %d references", refs)
	}
	must(t, l.Resume())
	pollUntil(t, loop, func() bool { return l.Stats().Backoffs == 2 })
	l.Close()
	if refs := loop.Stats().Refs; refs != 0 || *accepted != 0 {
		t.Errorf("closed: %d references, %d accepted", refs, *accepted)
	}
}

func TestCloseInsideOnErrorEndsTheListener(t *testing.T) {
	for _, errno := range []unix.Errno{unix.EMFILE, unix.EPERM, unix.EINVAL} {
		for _, shed := range []bool{false, true} {
			loop := newLoop(t)
			var l *sock.Listener
			calls := 0
			config := sock.ListenConfig{Shed: shed, OnError: func(error) {
				calls++
				l.Close()
			}}
			l = listen(t, loop, "tcp", "127.0.0.1:0", config, ignore)
			l.SetAccept(func(accept func() (int, error)) (int, error) {
				if errno == unix.EMFILE && shed && calls == 0 && l.Stats().Errors == 0 {
					if fd, err := accept(); err == nil {
						unix.Close(fd)
					}
				}
				return -1, errno
			})
			client(t, l.Addr())
			pollUntil(t, loop, func() bool { return calls == 1 })
			pollTimes(t, loop, 3)
			if calls != 1 || l.FD() != -1 || loop.Stats().Refs != 0 {
				t.Errorf("%v: %d calls, fd %d, %d references", errno, calls, l.FD(), loop.Stats().Refs)
			}
		}
	}
}

// TestFailedLoopIsNoErrorOfItsListeners that wait for the descriptor of a stream,
// which is closed with the loop.
func TestFailedLoopIsNoErrorOfItsListeners(t *testing.T) {
	loop := newLoop(t)
	closed := 0
	var served *sock.Listener
	served = listen(t, loop, "tcp", "127.0.0.1:0", sock.ListenConfig{}, func(c *sock.Conn) {
		_, err := c.Stream(reactor.StreamConfig{OnClose: func(error) { closed++ }})
		must(t, err)
		served.Pause()
	})
	client(t, served.Addr())
	pollUntil(t, loop, func() bool { return served.Stats().Accepted == 1 })
	var reported []error
	config := sock.ListenConfig{OnError: func(err error) { reported = append(reported, err) }}
	l, _ := failing(t, loop, config, unix.EMFILE)
	client(t, l.Addr())
	pollUntil(t, loop, func() bool { return len(reported) == 1 })
	loop.Post(func() { panic("on purpose") })
	func() {
		defer func() { _ = recover() }()
		_ = loop.Poll(0)
	}()
	if closed != 1 || len(reported) != 1 {
		t.Errorf("%d streams closed, reported %v", closed, reported)
	}
}

func TestAListenerSurvivesALowLimit(t *testing.T)          { runHelper(t, "limit") }
func TestAListenerShedsConnectionsAtTheLimit(t *testing.T) { runHelper(t, "shed") }

// lowLimit lowers this process's limit of descriptors so that room is left.
func lowLimit(room int) (restore func(), err error) {
	next, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	unix.Close(next)
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		return nil, err
	}
	low := old
	setLimit(&low.Cur, next+room)
	return func() { unix.Setrlimit(unix.RLIMIT_NOFILE, &old) }, unix.Setrlimit(unix.RLIMIT_NOFILE, &low)
}

// setLimit: limits are signed on some systems.
func setLimit[T int64 | uint64](limit *T, n int) { *limit = T(n) }

const (
	limitRoom    = 20  // descriptors that a server has for connections
	limitClients = 100 // that want one
)

// clients are sockets of this process, made before its limit falls, which
// connect to a path. They all find room in the backlog.
func clients(path string) (conns []net.Conn, err error) {
	for range limitClients {
		c, err := net.Dial("unix", path)
		if err != nil {
			return conns, err
		}
		conns = append(conns, c)
	}
	return conns, nil
}

// helperLimit: what does not find a descriptor waits, and is served when others
// have gone; the loop does not spin meanwhile.
func helperLimit() error {
	loop, l, conns, path, err := limited(sock.ListenConfig{})
	if err != nil {
		return err
	}
	defer os.RemoveAll(filepath.Dir(path))
	restore, err := lowLimit(limitRoom)
	if err != nil {
		return err
	}
	defer restore()
	if err := until(loop, func() bool { return l.Stats().Backoffs >= 3 }); err != nil {
		return err
	}
	if n := l.Stats().Accepted; n == 0 || n > limitRoom {
		return fmt.Errorf("accepted %d with room for %d", n, limitRoom)
	}
	before := loop.Stats().Iterations
	for start := time.Now(); time.Since(start) < 100*time.Millisecond; {
		if err := loop.Poll(20 * time.Millisecond); err != nil {
			return err
		}
	}
	if n := loop.Stats().Iterations - before; n > 100 {
		return fmt.Errorf("%d iterations in 100 ms: it spins", n)
	}
	// Clients leave in the order in which they came; each departure makes room.
	for i, c := range conns {
		if err := c.(*net.UnixConn).CloseWrite(); err != nil {
			return err
		}
		if err := until(loop, func() bool { return l.Stats().Accepted > uint64(i) }); err != nil {
			return fmt.Errorf("connection %d of %d: %w", i, len(conns), err)
		}
	}
	if err := until(loop, func() bool { return loop.Stats().Streams == 0 }); err != nil {
		return err
	}
	return shut(loop)
}

// helperShed: what does not find a descriptor is told so at once.
func helperShed() error {
	var reported []error
	loop, l, conns, path, err := limited(sock.ListenConfig{Shed: true, OnError: func(err error) { reported = append(reported, err) }})
	if err != nil {
		return err
	}
	defer os.RemoveAll(filepath.Dir(path))
	restore, err := lowLimit(limitRoom)
	if err != nil {
		return err
	}
	defer restore()
	err = until(loop, func() bool { return l.Stats().Accepted+l.Stats().Shed == limitClients })
	if err != nil {
		return fmt.Errorf("%w: %+v", err, l.Stats())
	}
	s := l.Stats()
	if s.Accepted > limitRoom || s.Shed == 0 || len(reported) != 1 || !errors.Is(reported[0], unix.EMFILE) {
		return fmt.Errorf("%+v, reported %v", s, reported)
	}
	last := conns[len(conns)-1]
	last.SetDeadline(time.Now().Add(guard))
	if _, err := last.Read(make([]byte, 1)); err != io.EOF {
		return fmt.Errorf("the last client, which was shed, read: %v", err)
	}
	for _, c := range conns {
		c.Close()
	}
	return shut(loop)
}

// shut closes a loop, which is verified before.
func shut(loop *reactor.Loop) error { return errors.Join(loop.Verify(), loop.Close()) }

// limited is a loop with an echo server and clients that wait for it.
func limited(config sock.ListenConfig) (loop *reactor.Loop, l *sock.Listener, conns []net.Conn, path string, err error) {
	dir, err := os.MkdirTemp("/tmp", "evfork-sock")
	if err != nil {
		return nil, nil, nil, "", err
	}
	path = filepath.Join(dir, "s")
	if loop, err = reactor.New(reactor.Config{}); err != nil {
		return nil, nil, nil, path, err
	}
	l, err = sock.Listen(loop, "unix", path, config, func(c *sock.Conn) {
		if _, err := echoStream(c); err != nil {
			panic(err)
		}
	})
	if err != nil {
		return nil, nil, nil, path, err
	}
	conns, err = clients(path)
	return loop, l, conns, path, err
}
