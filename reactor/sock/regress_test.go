package sock_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/sock"
)

// When a callback panicked, and the loop failed by it, the functions of dials and look-ups were never called, not even
// by Close; and listeners stayed open until then.
func TestFailedLoopEndsWhatIsOpen(t *testing.T) {
	for name, fail := range map[string]func(*reactor.Loop) error{
		"in an iteration": func(loop *reactor.Loop) error { return loop.Poll(0) },
		"amid Close":      (*reactor.Loop).Close,
	} {
		t.Run(name, func(t *testing.T) {
			loop := newLoop(t)
			must(t, loop.Post(func() { panic("on purpose") }))
			l := listen(t, loop, "tcp", "127.0.0.1:0", sock.ListenConfig{}, ignore)
			var errs []error
			for _, address := range []string{l.Addr().String(), "slow.test.:1"} {
				config := sock.DialConfig{Resolver: hangingResolver()}
				_, err := sock.Dial(loop, "tcp", address, config, func(_ *sock.Conn, err error) { errs = append(errs, err) })
				must(t, err)
				_, err = sock.Resolve(loop, "tcp", address, hangingResolver(), func(_ []netip.AddrPort, err error) { errs = append(errs, err) })
				must(t, err)
			}
			func() {
				defer func() {
					if recover() == nil {
						t.Error("no panic")
					}
				}()
				t.Error(fail(loop))
			}()
			if len(errs) != 4 || l.FD() >= 0 {
				t.Errorf("%d ends, the listener has descriptor %d", len(errs), l.FD())
			}
			for _, err := range errs {
				wantErr(t, err, reactor.ErrClosed)
			}
		})
	}
}

// A dial or look-up that the end of the loop had ended, and that was stopped before its function was called, had
// that called all the same.
func TestWhatIsStoppedWhileTheLoopEndsIsNotCalledBack(t *testing.T) {
	for name, end := range map[string]func(*reactor.Loop) error{
		"Close":    (*reactor.Loop).Close,
		"Shutdown": func(l *reactor.Loop) error { return l.Shutdown(context.Background()) },
		"a panic": func(l *reactor.Loop) error {
			defer func() { recover() }()
			l.AfterFunc(0, func() { panic("on purpose") })
			return l.Poll(0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			loop := newLoop(t)
			var stops []func()
			calls := 0
			called := func() {
				calls++
				for _, stop := range stops {
					stop()
				}
			}
			for range 2 {
				config := sock.DialConfig{Resolver: hangingResolver()}
				d, err := sock.Dial(loop, "tcp", "slow.test.:1", config, func(*sock.Conn, error) { called() })
				must(t, err)
				r, err := sock.Resolve(loop, "tcp", "slow.test.:1", hangingResolver(), func([]netip.AddrPort, error) { called() })
				must(t, err)
				stops = append(stops, d.Stop, r.Stop)
			}
			must(t, end(loop))
			if calls != 1 {
				t.Errorf("there were %d calls, of which the first stopped the others", calls)
			}
		})
	}
}

// A stream of which CloseWrite had been called in the same iteration was detached without having been half-closed: whoever
// then read the answer by the connection waited for one that waited for the EOF.
func TestDetachAfterCloseWriteHasHalfClosed(t *testing.T) {
	loop := newLoop(t)
	a, b := connected(t, "tcp", "127.0.0.1:0")
	s, err := sock.Adopt(loop, a, reactor.StreamConfig{})
	must(t, err)
	must(t, s.Write([]byte("the request")))
	s.CloseWrite()
	conn, _, err := sock.Detach(s)
	must(t, err)
	defer conn.Close()
	if r := <-readAll(b); string(r.data) != "the request" || r.err != nil {
		t.Errorf("the other side read %q, %v", r.data, r.err)
	}
}

// Likewise of one that the half-close closes, which leaves nothing to detach.
func TestDetachAfterCloseWriteOfWhatHasBeenRead(t *testing.T) {
	loop := newLoop(t)
	a, b := connected(t, "tcp", "127.0.0.1:0")
	ended, closed := false, false
	s, err := sock.Adopt(loop, a, reactor.StreamConfig{
		OnEOF:   func() { ended = true },
		OnClose: func(error) { closed = true },
	})
	must(t, err)
	must(t, b.(*net.TCPConn).CloseWrite())
	pollUntil(t, loop, func() bool { return ended })
	s.CloseWrite()
	_, _, err = sock.Detach(s)
	wantErr(t, err, reactor.ErrClosed)
	pollUntil(t, loop, func() bool { return closed })
}

// TestSheddingThatFailsDoesNotSpin: what cannot be accepted with the reserve either, as of a socket that was
// shut down, was tried again and again.
func TestSheddingThatFailsDoesNotSpin(t *testing.T) {
	for _, errno := range []unix.Errno{unix.EINVAL, unix.EPERM, unix.ENFILE} {
		loop := newLoop(t)
		l := listen(t, loop, "tcp", "127.0.0.1:0", sock.ListenConfig{Shed: true}, ignore)
		next := errno
		l.SetAccept(func(func() (int, error)) (int, error) {
			next = errno + unix.EMFILE - next // the other one
			return -1, next
		})
		client(t, l.Addr())
		pollUntil(t, loop, func() bool { return l.Stats().Backoffs == 1 })
	}
}

// A path of a Unix socket that is too long was just an invalid argument, and of one with a zero in it what is before that was taken.
func TestPathThatNoUnixSocketHasIsToldAsSuch(t *testing.T) {
	loop := newLoop(t)
	p, _ := listenPacket(t, loop, "unixgram", filepath.Join(shortDir(t), "r"), sock.PacketConfig{})
	long := "/tmp/" + strings.Repeat("x", 200)
	for path, says := range map[string]string{
		long:          long + ": the path has 205 bytes, and may have ",
		"/tmp/a\x00b": "the path contains a zero",
		"":            "no path",
	} {
		_, listened := sock.Listen(loop, "unix", path, sock.ListenConfig{}, func(*sock.Conn) {})
		_, dialled := sock.Dial(loop, "unix", path, sock.DialConfig{}, func(*sock.Conn, error) {})
		_, bound := sock.ListenPacket(loop, "unixgram", path, sock.PacketConfig{})
		for op, err := range map[string]error{"Listen": listened, "Dial": dialled, "ListenPacket": bound, "SendToPath": p.SendToPath(nil, path)} {
			if err == nil || !strings.Contains(err.Error(), says) || !errors.Is(err, unix.EINVAL) && !errors.Is(err, reactor.ErrInvalid) {
				t.Errorf("%s of %q: %v", op, path, err)
			}
		}
	}
}

// A dial that had been refused in time was said to have timed out if much else was ready, of which one wait reports a part.
func TestRefusalThatCameInTimeIsTheReasonThoughMuchIsReady(t *testing.T) {
	loop, clock := newHandLoop(t)
	for range 400 { // the first waits report 32, 64, 128
		watcher, err := loop.WatchFD(fdtest.ReadyPipe(t).Read, reactor.Read, func(reactor.Ready) {})
		must(t, err)
		t.Cleanup(func() { watcher.Stop() })
	}
	_, d := dial(t, loop, "tcp", reserved(t), sock.DialConfig{Timeout: time.Minute}, reactor.StreamConfig{})
	pollTimes(t, loop, 1)
	clock.Advance(time.Hour)
	pollUntil(t, loop, d.done)
	wantErr(t, d.err, unix.ECONNREFUSED)
	if errors.Is(d.err, sock.ErrTimeout) {
		t.Errorf("the reason is %v", d.err)
	}
}
