package sock_test

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/sock"
)

func TestEchoOverEachNetwork(t *testing.T) {
	for _, tt := range []struct{ network, address string }{
		{"tcp", "localhost:0"},
		{"tcp", "127.0.0.1:0"},
		{"tcp", "[::1]:0"},
		{"tcp", ":0"},
		{"tcp4", ":0"},
		{"tcp6", "[::1]:0"},
		{"unix", filepath.Join(shortDir(t), "s")},
		{"unix", "@evfork-sock-test"},
	} {
		t.Run(tt.network+" "+filepath.Base(tt.address), func(t *testing.T) {
			if strings.HasPrefix(tt.address, "@") {
				needAbstract(t)
			}
			needIPv6(t, tt.address)
			loop := newLoop(t)
			l := echo(t, loop, tt.network, tt.address)
			var got []byte
			address := strings.NewReplacer("0.0.0.0", "127.0.0.1", "[::]", "127.0.0.1").Replace(l.Addr().String())
			_, d := dial(t, loop, tt.network, address, sock.DialConfig{}, reactor.StreamConfig{
				OnData: func(p []byte) { got = append(got, p...) },
			})
			pollUntil(t, loop, d.done)
			must(t, d.err)
			must(t, d.stream.Write([]byte("hello")))
			d.stream.CloseWrite()
			pollUntil(t, loop, d.stream.Closed)
			if string(got) != "hello" {
				t.Errorf("got %q", got)
			}
			if n := l.Stats().Accepted; n != 1 {
				t.Errorf("accepted %d connections, want 1", n)
			}
		})
	}
}

func TestListenRefusesBadArguments(t *testing.T) {
	loop := newLoop(t)
	accept := func(*sock.Conn) {}
	for _, tt := range []struct {
		name, network, address string
		config                 sock.ListenConfig
		onAccept               func(*sock.Conn)
		want                   string
	}{
		{"network", "udp", "127.0.0.1:0", sock.ListenConfig{}, accept, "unknown network udp"},
		{"no port", "tcp", "127.0.0.1", sock.ListenConfig{}, accept, "missing port"},
		{"bad port", "tcp", "127.0.0.1:65536", sock.ListenConfig{}, accept, "invalid port"},
		{"huge port", "tcp", "127.0.0.1:99999999999999999999", sock.ListenConfig{}, accept, "invalid port"},
		{"empty port", "tcp", "127.0.0.1:", sock.ListenConfig{}, accept, "invalid port"},
		{"host name", "tcp", "example.org:1", sock.ListenConfig{}, accept, "is a name, not a number"},
		{"service name", "tcp", "127.0.0.1:http", sock.ListenConfig{}, accept, "is a name, not a number"},
		{"wrong version", "tcp4", "[::1]:0", sock.ListenConfig{}, accept, "not of network tcp4"},
		{"no path", "unix", "", sock.ListenConfig{}, accept, "invalid argument"},
		{"no callback", "tcp", "127.0.0.1:0", sock.ListenConfig{}, nil, "invalid argument"},
		{"backlog", "tcp", "127.0.0.1:0", sock.ListenConfig{Backlog: -1}, accept, "invalid argument"},
		{"keep-alive", "tcp", "127.0.0.1:0", sock.ListenConfig{KeepAlive: sock.KeepAlive{Count: -1}}, accept, "invalid argument"},
		{"not ours", "tcp", "192.0.2.77:0", sock.ListenConfig{}, accept, "assign requested address"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := sock.Listen(loop, tt.network, tt.address, tt.config, tt.onAccept)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "sock: listen "+tt.network) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestPortInUseIsReported(t *testing.T) {
	loop := newLoop(t)
	l := echo(t, loop, "tcp", "127.0.0.1:0")
	_, err := sock.Listen(loop, "tcp", l.Addr().String(), sock.ListenConfig{}, func(*sock.Conn) {})
	wantErr(t, err, unix.EADDRINUSE)
}

func TestReusePortLetsTwoListenOnOnePort(t *testing.T) {
	loop := newLoop(t)
	config := sock.ListenConfig{ReusePort: true}
	accepted := 0
	count := func(*sock.Conn) { accepted++ }
	a := listen(t, loop, "tcp", "127.0.0.1:0", config, count)
	b := listen(t, loop, "tcp", a.Addr().String(), config, count)
	wantOption(t, "SO_REUSEPORT", a.FD(), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	for range 64 {
		client(t, a.Addr())
	}
	pollUntil(t, loop, func() bool { return accepted == 64 })
	if a.Stats().Accepted == 0 || b.Stats().Accepted == 0 {
		t.Errorf("one accepted %d, the other %d of 64", a.Stats().Accepted, b.Stats().Accepted)
	}
}

func TestLoopsOfSeveralGoroutinesShareAPort(t *testing.T) {
	loops := []*reactor.Loop{newLoop(t), newLoop(t)}
	listeners := make([]*sock.Listener, len(loops))
	address := "127.0.0.1:0"
	for i, loop := range loops {
		listeners[i] = listen(t, loop, "tcp", address, sock.ListenConfig{ReusePort: true}, func(c *sock.Conn) {
			if _, err := echoStream(c); err != nil {
				t.Errorf("stream: %v", err)
			}
		})
		address = listeners[0].Addr().String()
	}
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	var running sync.WaitGroup
	for _, loop := range loops {
		running.Go(func() {
			if err := loop.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	for range 64 {
		c := client(t, listeners[0].Addr())
		_, err := c.Write([]byte("x"))
		must(t, err)
		_, err = io.ReadFull(c, make([]byte, 1))
		must(t, err)
	}
	for _, loop := range loops {
		loop.Stop()
	}
	running.Wait()
	for i, l := range listeners {
		if l.Stats().Accepted == 0 {
			t.Errorf("loop %d has accepted none of 64", i)
		}
		must(t, loops[i].Close()) // before the other's check for leaks
	}
}

func TestAcceptedConnectionsHaveTheOptions(t *testing.T) {
	for _, tt := range []struct {
		name                  string
		config                sock.ListenConfig
		noDelay, on           int
		idle, interval, count int
	}{
		{"zero value", sock.ListenConfig{}, 1, 1, 15, 15, 9},
		{"all set", sock.ListenConfig{Delay: true, KeepAlive: sock.KeepAlive{Idle: 7100 * time.Millisecond, Interval: 3 * time.Second, Count: 4}}, 0, 1, 8, 3, 4},
		{"off", sock.ListenConfig{KeepAlive: sock.KeepAlive{Off: true}}, 1, 0, 0, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			loop := newLoop(t)
			accepted := false
			l := listen(t, loop, "tcp", "127.0.0.1:0", tt.config, func(c *sock.Conn) {
				accepted = true
				wantTCP(t, c.FD(), tt.noDelay, tt.on, tt.idle, tt.interval, tt.count)
				wantFlags(t, c.FD())
			})
			wantFlags(t, l.FD())
			wantOption(t, "SO_REUSEADDR", l.FD(), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
			client(t, l.Addr())
			pollUntil(t, loop, func() bool { return accepted })
		})
	}
}

func wantTCP(t *testing.T, fd, noDelay, on, idle, interval, count int) {
	t.Helper()
	wantOption(t, "TCP_NODELAY", fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, noDelay)
	wantOption(t, "SO_KEEPALIVE", fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, on)
	if on == 1 {
		wantProbes(t, fd, idle, interval, count)
	}
}

func wantFlags(t *testing.T, fd int) {
	t.Helper()
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("fd %d is not close-on-exec (%v)", fd, err)
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
		t.Errorf("fd %d is not non-blocking (%v)", fd, err)
	}
}

func TestTCPServesBothVersionsOfIP(t *testing.T) {
	needDualStack(t)
	needIPv6(t, "::1")
	for _, tt := range []struct {
		network, address string
		v6only           int
	}{{"tcp", ":0", 0}, {"tcp", "0.0.0.0:0", 0}, {"tcp", "[::]:0", 0}, {"tcp6", ":0", 1}, {"tcp6", "[::]:0", 1}, {"tcp", "[::1]:0", 1}} {
		t.Run(tt.network+" "+tt.address, func(t *testing.T) {
			loop := newLoop(t)
			var from []sock.Addr
			l := listen(t, loop, tt.network, tt.address, sock.ListenConfig{}, func(c *sock.Conn) {
				addr, err := c.RemoteAddr()
				must(t, err)
				from = append(from, addr)
			})
			wantOption(t, "IPV6_V6ONLY", l.FD(), unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, tt.v6only)
			_, port, _ := net.SplitHostPort(l.Addr().String())
			v4, err := net.Dial("tcp4", "127.0.0.1:"+port)
			if (err == nil) != (tt.v6only == 0) {
				t.Fatalf("connecting by IPv4: %v", err)
			}
			want := 1
			if err == nil {
				defer v4.Close()
				want = 2
			}
			v6, err := net.Dial("tcp6", "[::1]:"+port)
			must(t, err)
			defer v6.Close()
			pollUntil(t, loop, func() bool { return len(from) == want })
			if want == 2 && (from[0].String() != v4.LocalAddr().String() || !from[0].AddrPort.Addr().Is4()) {
				t.Errorf("client is %v, want %v as IPv4", from[0], v4.LocalAddr())
			}
			if got := from[want-1].String(); got != v6.LocalAddr().String() {
				t.Errorf("client is %v, want %v", got, v6.LocalAddr())
			}
		})
	}
}

func TestBacklogLimitsWhatTheKernelKeeps(t *testing.T) {
	loop := newLoop(t)
	path := filepath.Join(shortDir(t), "s")
	accepted := 0
	l := listen(t, loop, "unix", path, sock.ListenConfig{Backlog: 1}, func(*sock.Conn) { accepted++ })
	made := fillBacklog(t, path)
	if made > 4 { // systems keep a few more than they are asked to
		t.Errorf("%d connections wait, want about 1", made)
	}
	pollUntil(t, loop, func() bool { return accepted == made })
	l.Close()
}

// fillBacklog connects until the kernel has no room, and returns how often it could.
func fillBacklog(t testing.TB, path string) (made int) {
	t.Helper()
	for ; made < 10000; made++ {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		must(t, err)
		unix.CloseOnExec(fd)
		must(t, unix.SetNonblock(fd, true))
		if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
			unix.Close(fd)
			return made
		}
		t.Cleanup(func() { unix.Close(fd) })
	}
	t.Fatal("the backlog has no end")
	return 0
}

func TestConnectionThatNobodyTakesIsClosed(t *testing.T) {
	loop := newLoop(t)
	var kept *sock.Conn
	l := listen(t, loop, "tcp", "127.0.0.1:0", sock.ListenConfig{}, func(c *sock.Conn) { kept = c })
	c := client(t, l.Addr())
	pollUntil(t, loop, func() bool { return kept != nil })
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("the client read %d bytes, %v; want EOF", n, err)
	}
	if kept.FD() != -1 || kept.Take() != -1 {
		t.Error("still has a descriptor")
	}
	_, err := kept.Stream(reactor.StreamConfig{})
	wantErr(t, err, reactor.ErrClosed)
	kept.Close()
}

func TestTakenDescriptorIsTheCallers(t *testing.T) {
	loop := newLoop(t)
	fd := -1
	l := listen(t, loop, "tcp", "127.0.0.1:0", sock.ListenConfig{}, func(c *sock.Conn) { fd = c.Take() })
	c := client(t, l.Addr())
	pollUntil(t, loop, func() bool { return fd >= 0 })
	defer unix.Close(fd)
	l.Close()
	_, err := unix.Write(fd, []byte("x"))
	must(t, err)
	if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
}

func TestCloseInsideOnAcceptEndsTheTurn(t *testing.T) {
	loop := newLoop(t)
	var l *sock.Listener
	calls := 0
	l = listen(t, loop, "tcp", "127.0.0.1:0", sock.ListenConfig{}, func(c *sock.Conn) {
		calls++
		l.Close()
		l.Close()
	})
	addr := l.Addr()
	for range 3 {
		client(t, addr)
	}
	pollUntil(t, loop, func() bool { return calls > 0 })
	pollTimes(t, loop, 3)
	if calls != 1 || l.FD() != -1 {
		t.Errorf("%d calls, fd %d", calls, l.FD())
	}
	wantErr(t, l.Resume(), reactor.ErrClosed)
}

func TestPendingConnectionsAreResetByClose(t *testing.T) {
	loop := newLoop(t)
	l := echo(t, loop, "tcp", "127.0.0.1:0")
	c := client(t, l.Addr())
	l.Close()
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes from nobody", n)
	}
}

func TestPausedListenerAcceptsAfterResume(t *testing.T) {
	loop := newLoop(t)
	var l *sock.Listener
	accepted := 0
	l = listen(t, loop, "tcp", "127.0.0.1:0", sock.ListenConfig{}, func(c *sock.Conn) {
		accepted++
		l.Pause()
	})
	for range 2 {
		client(t, l.Addr())
	}
	pollUntil(t, loop, func() bool { return accepted == 1 })
	pollTimes(t, loop, 3)
	if accepted != 1 {
		t.Errorf("a paused listener has accepted %d", accepted)
	}
	if refs := loop.Stats().Refs; refs != 0 {
		t.Errorf("a paused listener keeps Run: %d references", refs)
	}
	must(t, l.Resume())
	pollUntil(t, loop, func() bool { return accepted == 2 })
}

func TestUnreferencedListenerDoesNotKeepRun(t *testing.T) {
	loop := newLoop(t)
	l := echo(t, loop, "tcp", "127.0.0.1:0")
	if refs := loop.Stats().Refs; refs != 1 {
		t.Errorf("a listener counts as %d references", refs)
	}
	l.Unref()
	if refs := loop.Stats().Refs; refs != 0 {
		t.Errorf("unreferenced, it counts as %d", refs)
	}
	l.Ref()
	if refs := loop.Stats().Refs; refs != 1 {
		t.Errorf("referenced again, it counts as %d", refs)
	}
}

func TestLoopCloseClosesListenersAndTheirFiles(t *testing.T) {
	loop := newLoop(t)
	path := filepath.Join(shortDir(t), "s")
	l := echo(t, loop, "unix", path)
	echo(t, loop, "tcp", "127.0.0.1:0")
	must(t, loop.Close())
	if l.FD() != -1 {
		t.Error("the listener is open")
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("its file: %v", err)
	}
	l.Close()
	_, err := sock.Listen(loop, "tcp", "127.0.0.1:0", sock.ListenConfig{}, func(*sock.Conn) {})
	wantErr(t, err, reactor.ErrClosed)
}
