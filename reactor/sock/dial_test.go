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

func TestDialRefusesBadArguments(t *testing.T) {
	loop := newLoop(t)
	done := func(*sock.Conn, error) { t.Error("called back") }
	for _, tt := range []struct {
		name, network, address string
		config                 sock.DialConfig
		done                   func(*sock.Conn, error)
		want                   string
	}{
		{"network", "udp", "127.0.0.1:1", sock.DialConfig{}, done, "unknown network udp"},
		{"no port", "tcp", "127.0.0.1", sock.DialConfig{}, done, "missing port"},
		{"bad port", "tcp", "127.0.0.1:-1", sock.DialConfig{}, done, "invalid port"},
		{"wrong version", "tcp6", "127.0.0.1:1", sock.DialConfig{}, done, "not of network tcp6"},
		{"no path", "unix", "", sock.DialConfig{}, done, "invalid argument"},
		{"no callback", "tcp", "127.0.0.1:1", sock.DialConfig{}, nil, "invalid argument"},
		{"timeout", "tcp", "127.0.0.1:1", sock.DialConfig{Timeout: -1}, done, "invalid argument"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := sock.Dial(loop, tt.network, tt.address, tt.config, tt.done)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "sock: dial "+tt.network) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	pollTimes(t, loop, 3)
}

func TestRefusedDialSaysSoOnce(t *testing.T) {
	loop := newLoop(t)
	address := reserved(t)
	_, d := dial(t, loop, "tcp", address, sock.DialConfig{}, reactor.StreamConfig{})
	if d.done() {
		t.Error("called back inside Dial")
	}
	pollUntil(t, loop, d.done)
	pollTimes(t, loop, 3)
	wantErr(t, d.err, unix.ECONNREFUSED)
	if want := "sock: dial tcp " + address + ": connect " + address + ": connection refused"; d.calls != 1 || d.err.Error() != want {
		t.Errorf("%d calls; got %q, want %q", d.calls, d.err, want)
	}
}

func TestDialToAMissingPathFails(t *testing.T) {
	loop := newLoop(t)
	_, d := dial(t, loop, "unix", filepath.Join(shortDir(t), "s"), sock.DialConfig{}, reactor.StreamConfig{})
	pollUntil(t, loop, d.done)
	wantErr(t, d.err, unix.ENOENT)
}

func TestRunWaitsForADial(t *testing.T) {
	loop := newLoop(t)
	l := echo(t, loop, "tcp", "127.0.0.1:0")
	l.Unref()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for _, address := range []string{l.Addr().String(), "name.test.:" + port} {
		calls := 0
		_, err := sock.Dial(loop, "tcp", address, sock.DialConfig{Resolver: resolverWith("127.0.0.1")}, func(_ *sock.Conn, err error) {
			calls++
			must(t, err)
		})
		must(t, err)
		ctx, cancel := context.WithTimeout(context.Background(), guard)
		defer cancel()
		must(t, loop.Run(ctx))
		if calls != 1 {
			t.Errorf("Run returned after %d calls", calls)
		}
	}
}

func TestDialledConnectionHasTheOptions(t *testing.T) {
	loop := newLoop(t)
	l := echo(t, loop, "tcp", "127.0.0.1:0")
	for _, tt := range []struct {
		config                             sock.DialConfig
		noDelay, on, idle, interval, count int
	}{
		{sock.DialConfig{}, 1, 1, 15, 15, 9},
		{sock.DialConfig{Delay: true, KeepAlive: sock.KeepAlive{Idle: time.Minute, Interval: time.Second, Count: 2}}, 0, 1, 60, 1, 2},
		{sock.DialConfig{KeepAlive: sock.KeepAlive{Off: true}}, 1, 0, 0, 0, 0},
	} {
		done := false
		_, err := sock.Dial(loop, "tcp", l.Addr().String(), tt.config, func(c *sock.Conn, err error) {
			done = true
			must(t, err)
			wantFlags(t, c.FD())
			wantTCP(t, c.FD(), tt.noDelay, tt.on, tt.idle, tt.interval, tt.count)
			must(t, c.SetNoDelay(tt.noDelay == 0))
			must(t, c.SetKeepAlive(sock.KeepAlive{Idle: 2 * time.Second}))
			wantTCP(t, c.FD(), 1-tt.noDelay, 1, 2, 15, 9)
		})
		must(t, err)
		pollUntil(t, loop, func() bool { return done })
	}
}

func TestDialFromALocalAddress(t *testing.T) {
	loop := newLoop(t)
	l := echo(t, loop, "tcp", "127.0.0.1:0")
	local := netip.MustParseAddrPort(free(t))
	done := false
	_, err := sock.Dial(loop, "tcp", l.Addr().String(), sock.DialConfig{LocalAddr: local}, func(c *sock.Conn, err error) {
		done = true
		must(t, err)
		got, err := c.LocalAddr()
		must(t, err)
		if got.AddrPort != local {
			t.Errorf("local address %v, want %v", got, local)
		}
		remote, err := c.RemoteAddr()
		must(t, err)
		if remote != l.Addr() {
			t.Errorf("remote address %v, want %v", remote, l.Addr())
		}
		must(t, c.Reset()) // no TIME_WAIT, which would keep the port
	})
	must(t, err)
	pollUntil(t, loop, func() bool { return done })
}

// free returns a TCP address that was free a moment ago.
func free(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, l.Close())
	return l.Addr().String()
}

func TestLocalAddressOfTheOtherVersionOfIPFails(t *testing.T) {
	loop := newLoop(t)
	l := echo(t, loop, "tcp", "127.0.0.1:0")
	config := sock.DialConfig{LocalAddr: netip.MustParseAddrPort("[::1]:0")}
	_, d := dial(t, loop, "tcp", l.Addr().String(), config, reactor.StreamConfig{})
	pollUntil(t, loop, d.done)
	wantErr(t, d.err, unix.EAFNOSUPPORT)
}

func TestConnectionToItselfIsRefused(t *testing.T) {
	loop := newLoop(t)
	address := free(t)
	_, d := dial(t, loop, "tcp", address, sock.DialConfig{LocalAddr: netip.MustParseAddrPort(address)}, reactor.StreamConfig{})
	pollUntil(t, loop, d.done)
	wantErr(t, d.err, unix.ECONNREFUSED)
}

// deaf listens, but neither accepts nor has room for another connection: the
// kernel lets those who connect wait.
func deaf(t testing.TB, loop *reactor.Loop, address string) *sock.Listener {
	t.Helper()
	l := listen(t, loop, "tcp", address, sock.ListenConfig{Backlog: 1}, ignore)
	l.Pause()
	for range 10 {
		if !reaches(t, l.Addr().AddrPort) {
			return l
		}
	}
	t.Skip("this system has room for more connections than asked for")
	return nil
}

// reaches connects until the end of the test. That it does not come about is known
// after ten looks, not after a time: they do not pass while this process is stopped.
func reaches(t testing.TB, to netip.AddrPort) bool {
	t.Helper()
	family, addr := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()})
	if to.Addr().Is4() {
		family, addr = unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
	must(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	unix.CloseOnExec(fd)
	must(t, unix.SetNonblock(fd, true))
	if err := unix.Connect(fd, addr); err != unix.EINPROGRESS {
		must(t, err)
		return true
	}
	for range 10 {
		look := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		if n, _ := unix.Poll(look, 20); n == 1 {
			return true
		}
	}
	return false
}

// A loop that was held up finds the connection and the timeout at once.
func TestConnectionThatHasComeAboutBeatsTheTimeout(t *testing.T) {
	loop, clock := newHandLoop(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	_, d := dial(t, loop, "tcp", l.Addr().String(), sock.DialConfig{Timeout: time.Second}, reactor.StreamConfig{})
	pollTimes(t, loop, 1)
	c, err := l.Accept() // now it is connected
	must(t, err)
	defer c.Close()
	clock.Advance(time.Minute)
	pollUntil(t, loop, d.done)
	must(t, d.err)
}

// TestConnectionBeatsTheTimeoutThoughManyAreReady: one wait reports a part of them, and
// the dial timed out with a connection.
func TestConnectionBeatsTheTimeoutThoughManyAreReady(t *testing.T) {
	loop, clock := newHandLoop(t)
	l := listen(t, loop, "tcp", "127.0.0.1:0", sock.ListenConfig{}, ignore)
	for range 100 { // the first wait reports 32
		r, w := fdtest.Pipe(t)
		_, err := unix.Write(w, []byte("x"))
		must(t, err)
		watcher, err := loop.WatchFD(r, reactor.Read, func(reactor.Ready) {})
		must(t, err)
		t.Cleanup(func() {
			watcher.Stop()
			unix.Close(r)
			unix.Close(w)
		})
	}
	_, d := dial(t, loop, "tcp", l.Addr().String(), sock.DialConfig{Timeout: time.Minute}, reactor.StreamConfig{})
	pollTimes(t, loop, 1)
	clock.Advance(time.Hour)
	pollTimes(t, loop, 1)
	pollUntil(t, loop, d.done)
	must(t, d.err)
	d.stream.Close()
}

func TestDialTimesOut(t *testing.T) {
	loop := newLoop(t)
	l := deaf(t, loop, "127.0.0.1:0")
	_, d := dial(t, loop, "tcp", l.Addr().String(), sock.DialConfig{Timeout: 20 * time.Millisecond}, reactor.StreamConfig{})
	pollUntil(t, loop, d.done)
	wantErr(t, d.err, sock.ErrTimeout)
}

func TestStoppedDialDoesNotCallBack(t *testing.T) {
	loop := newLoop(t)
	l := deaf(t, loop, "127.0.0.1:0")
	refs := loop.Stats().Refs
	for _, polls := range []int{0, 3} {
		h, d := dial(t, loop, "tcp", l.Addr().String(), sock.DialConfig{Timeout: time.Minute}, reactor.StreamConfig{})
		pollTimes(t, loop, polls)
		h.Stop()
		h.Stop()
		pollTimes(t, loop, 3)
		if d.done() || loop.Stats().Refs != refs {
			t.Errorf("%d calls, %d references left", d.calls, loop.Stats().Refs-refs)
		}
	}
}

func TestDialWaitsForRoomInTheBacklogOfAUnixSocket(t *testing.T) {
	loop := newLoop(t)
	path := filepath.Join(shortDir(t), "s")
	l := listen(t, loop, "unix", path, sock.ListenConfig{Backlog: 1}, ignore)
	l.Pause()
	fillBacklog(t, path)
	_, d := dial(t, loop, "unix", path, sock.DialConfig{}, reactor.StreamConfig{})
	timers := loop.Stats().Timers
	pollUntil(t, loop, func() bool { return loop.Stats().Timers-timers >= 3 })
	if d.done() {
		t.Fatalf("called back: %v", d.err)
	}
	must(t, l.Resume())
	pollUntil(t, loop, d.done)
	must(t, d.err)
}

func TestDialToAFullUnixSocketTimesOut(t *testing.T) {
	loop := newLoop(t)
	path := filepath.Join(shortDir(t), "s")
	listen(t, loop, "unix", path, sock.ListenConfig{Backlog: 1}, ignore).Pause()
	fillBacklog(t, path)
	_, d := dial(t, loop, "unix", path, sock.DialConfig{Timeout: 20 * time.Millisecond}, reactor.StreamConfig{})
	pollUntil(t, loop, d.done)
	wantErr(t, d.err, sock.ErrTimeout)
}

func TestLoopEndsDialsWithErrClosed(t *testing.T) {
	for _, end := range []struct {
		name string
		call func(*reactor.Loop) error
	}{
		{"Close", (*reactor.Loop).Close},
		{"Shutdown", func(l *reactor.Loop) error { return l.Shutdown(context.Background()) }},
	} {
		t.Run(end.name, func(t *testing.T) {
			loop := newLoop(t)
			l := deaf(t, loop, "127.0.0.1:0")
			var again error
			results := make([]dialled, 3)
			for i, address := range []string{l.Addr().String(), l.Addr().String(), "slow.test.:1"} {
				_, err := sock.Dial(loop, "tcp", address, sock.DialConfig{Resolver: hangingResolver()}, func(_ *sock.Conn, err error) {
					results[i].calls++
					results[i].err = err
					_, again = sock.Dial(loop, "tcp", address, sock.DialConfig{}, func(*sock.Conn, error) {})
				})
				must(t, err)
				if i == 0 {
					pollTimes(t, loop, 3) // this one is connecting, the next has not begun
				}
			}
			must(t, end.call(loop))
			for i, r := range results {
				if r.calls != 1 {
					t.Errorf("dial %d: %d calls", i, r.calls)
				}
				wantErr(t, r.err, reactor.ErrClosed)
			}
			wantErr(t, again, reactor.ErrClosed)
		})
	}
}

func TestConnectionOfAPanickingCallbackIsClosed(t *testing.T) {
	loop := newLoop(t)
	fd := -1
	l := listen(t, loop, "tcp", "127.0.0.1:0", sock.ListenConfig{}, func(c *sock.Conn) {
		fd = c.FD()
		panic("callback")
	})
	client(t, l.Addr())
	func() {
		defer func() { recover() }()
		pollUntil(t, loop, func() bool { return false })
	}()
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); !errors.Is(err, unix.EBADF) {
		t.Errorf("fd %d: %v", fd, err)
	}
}
