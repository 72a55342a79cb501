package sock_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/sock"
)

// hangingResolver never gets an answer from its name server.
func hangingResolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
}

// resolverWith knows every name by the given addresses.
func resolverWith(addrs ...string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go answer(theirs, addrs)
		return ours, nil
	}}
}

// answer is a name server for one connection: requests and answers as over TCP
// (RFC 1035, sections 4.1 and 4.2.2).
func answer(c net.Conn, addrs []string) {
	defer c.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, query); err != nil {
			return
		}
		end := 12 + slices.Index(query[12:], 0) + 1 + 4 // of the question
		kind := binary.BigEndian.Uint16(query[end-4:])
		reply := slices.Clone(query[:end])
		binary.BigEndian.PutUint16(reply[2:], 0x8180) // an answer, without an error
		binary.BigEndian.PutUint16(reply[10:], 0)     // no additional records
		count := uint16(0)
		for _, s := range addrs {
			ip := netip.MustParseAddr(s)
			if (kind == 1) != ip.Is4() {
				continue
			}
			count++
			raw := ip.AsSlice()
			reply = append(reply, 0xc0, 12, byte(kind>>8), byte(kind), 0, 1, 0, 0, 0, 60, 0, byte(len(raw)))
			reply = append(reply, raw...)
		}
		binary.BigEndian.PutUint16(reply[6:], count)
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
			return
		}
	}
}

// reservedBoth returns a port at which nobody listens on 127.0.0.1, nor on ::1.
func reservedBoth(t testing.TB) (port string) {
	t.Helper()
	needIPv6(t, "::1")
	for range 100 {
		_, port, _ = net.SplitHostPort(reserved(t))
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM, 0)
		must(t, err)
		unix.CloseOnExec(fd)
		t.Cleanup(func() { unix.Close(fd) })
		ap := netip.MustParseAddrPort("[::1]:" + port)
		if unix.Bind(fd, &unix.SockaddrInet6{Addr: ap.Addr().As16(), Port: int(ap.Port())}) == nil {
			return port
		}
	}
	t.Fatal("no port is free in both versions of IP")
	return ""
}

func TestDialByName(t *testing.T) {
	loop := newLoop(t)
	l := echo(t, loop, "tcp", ":0")
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for _, network := range []string{"tcp", "tcp4", "tcp6"} {
		t.Run(network, func(t *testing.T) {
			if network == "tcp6" {
				needIPv6(t, "::1")
			}
			config := sock.DialConfig{Resolver: resolverWith("127.0.0.1", "::1")}
			_, d := dial(t, loop, network, "name.test.:"+port, config, reactor.StreamConfig{})
			if d.done() {
				t.Error("called back inside Dial")
			}
			pollUntil(t, loop, d.done)
			must(t, d.err)
			d.stream.Close()
		})
	}
}

func TestDialOfLocalhostUsesTheSystemsResolver(t *testing.T) {
	loop := newLoop(t)
	l := echo(t, loop, "tcp4", "localhost:0")
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_, d := dial(t, loop, "tcp", "localhost:"+port, sock.DialConfig{}, reactor.StreamConfig{})
	pollUntil(t, loop, d.done)
	must(t, d.err)
}

func TestDialOfLiteralsStartsNoGoroutine(t *testing.T) {
	loop := newLoop(t)
	before := runtime.NumGoroutine()
	h, err := sock.Dial(loop, "tcp", reserved(t), sock.DialConfig{Resolver: hangingResolver()}, func(*sock.Conn, error) {})
	must(t, err)
	r, err := sock.Resolve(loop, "udp", "[::1]:53", hangingResolver(), func([]netip.AddrPort, error) {})
	must(t, err)
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines more", n-before)
	}
	h.Stop()
	r.Stop()
}

func TestDialTriesEveryAddressAndJoinsTheErrors(t *testing.T) {
	loop := newLoop(t)
	port := reservedBoth(t)
	config := sock.DialConfig{Resolver: resolverWith("127.0.0.1", "::1")}
	_, d := dial(t, loop, "tcp", "name.test.:"+port, config, reactor.StreamConfig{})
	pollUntil(t, loop, d.done)
	wantErr(t, d.err, unix.ECONNREFUSED)
	var e *sock.Error
	if !errors.As(d.err, &e) || e.Op != "dial" || e.Address != "name.test.:"+port {
		t.Errorf("got %#v", d.err)
	}
	for _, part := range []string{"connect 127.0.0.1:" + port + ": connection refused", "connect [::1]:" + port + ": connection refused", "; "} {
		if !strings.Contains(d.err.Error(), part) {
			t.Errorf("%q does not say %q", d.err, part)
		}
	}
}

func TestDialGoesOnAfterAnAddressThatRefuses(t *testing.T) {
	loop := newLoop(t)
	l := echo(t, loop, "tcp4", "127.0.0.1:0")
	_, port, _ := net.SplitHostPort(l.Addr().String())
	config := sock.DialConfig{Resolver: resolverWith("127.0.0.1", "::1")}
	_, d := dial(t, loop, "tcp", "name.test.:"+port, config, reactor.StreamConfig{})
	pollUntil(t, loop, d.done)
	must(t, d.err)
}

func TestDialTriesTheNextAddressBesideASlowOne(t *testing.T) {
	needIPv6(t, "::1")
	loop := newLoop(t)
	var slow, fast *sock.Listener
	for fast == nil {
		slow = deaf(t, loop, "[::1]:0")
		_, port, _ := net.SplitHostPort(slow.Addr().String())
		l, err := sock.Listen(loop, "tcp", "127.0.0.1:"+port, sock.ListenConfig{}, ignore)
		if err == nil {
			fast = l
		}
	}
	_, port, _ := net.SplitHostPort(slow.Addr().String())
	config := sock.DialConfig{Resolver: resolverWith("::1", "127.0.0.1")}
	timers := loop.Stats().Timers
	_, d := dial(t, loop, "tcp", "name.test.:"+port, config, reactor.StreamConfig{})
	pollUntil(t, loop, d.done)
	must(t, d.err)
	addr, err := sock.RemoteAddr(first(d.stream.FDs()))
	must(t, err)
	if addr != fast.Addr() || loop.Stats().Timers == timers {
		t.Errorf("connected to %v after %d timers", addr, loop.Stats().Timers-timers)
	}
}

func first(a, _ int) int { return a }

func TestStoppedLookUpDoesNotCallBack(t *testing.T) {
	loop := newLoop(t)
	h, d := dial(t, loop, "tcp", "slow.test.:1", sock.DialConfig{Resolver: hangingResolver()}, reactor.StreamConfig{})
	r, err := sock.Resolve(loop, "udp", "slow.test.:1", hangingResolver(), func([]netip.AddrPort, error) { t.Error("called back") })
	must(t, err)
	pollTimes(t, loop, 3)
	h.Stop()
	r.Stop()
	r.Stop()
	// The goroutines' answers come, and are dropped.
	posts := loop.Stats().Posts
	pollUntil(t, loop, func() bool { return loop.Stats().Posts == posts+2 })
	if d.done() || loop.Stats().Refs != 0 {
		t.Errorf("%d calls, %d references", d.calls, loop.Stats().Refs)
	}
}

func TestTimeoutIncludesTheLookUp(t *testing.T) {
	loop := newLoop(t)
	_, d := dial(t, loop, "tcp", "slow.test.:1", sock.DialConfig{Resolver: hangingResolver(), Timeout: 1}, reactor.StreamConfig{})
	pollUntil(t, loop, d.done)
	wantErr(t, d.err, sock.ErrTimeout)
}

func TestUnknownNameFails(t *testing.T) {
	loop := newLoop(t)
	_, d := dial(t, loop, "tcp", "name.test.:1", sock.DialConfig{Resolver: resolverWith()}, reactor.StreamConfig{})
	pollUntil(t, loop, d.done)
	var dns *net.DNSError
	if !errors.As(d.err, &dns) {
		t.Errorf("got %v", d.err)
	}
}

func TestResolve(t *testing.T) {
	for _, tt := range []struct{ network, address, want string }{
		{"tcp", "127.0.0.1:80", "[127.0.0.1:80]"},
		{"udp6", "[::1]:80", "[[::1]:80]"},
		{"tcp", "name.test.:http", "[[::1]:80 127.0.0.1:80]"},
		{"tcp4", "name.test.:80", "[127.0.0.1:80]"},
		{"udp6", "name.test.:80", "[[::1]:80]"},
		{"tcp", "127.0.0.1:http", "[127.0.0.1:80]"},
	} {
		t.Run(tt.network+" "+tt.address, func(t *testing.T) {
			loop := newLoop(t)
			calls, got := 0, ""
			_, err := sock.Resolve(loop, tt.network, tt.address, resolverWith("127.0.0.1", "::1"), func(addrs []netip.AddrPort, err error) {
				calls++
				must(t, err)
				slices.SortFunc(addrs, func(a, b netip.AddrPort) int { return -a.Compare(b) })
				var texts []string
				for _, a := range addrs {
					texts = append(texts, a.String())
				}
				got = "[" + strings.Join(texts, " ") + "]"
			})
			must(t, err)
			if calls != 0 {
				t.Error("called back inside Resolve")
			}
			pollUntil(t, loop, func() bool { return calls > 0 })
			if got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestResolveRefusesBadArguments(t *testing.T) {
	loop := newLoop(t)
	done := func([]netip.AddrPort, error) { t.Error("called back") }
	_, err := sock.Resolve(loop, "unix", "/s", nil, done)
	wantErr(t, err, reactor.ErrInvalid)
	_, err = sock.Resolve(loop, "tcp", "a:1", nil, nil)
	wantErr(t, err, reactor.ErrInvalid)
	if _, err = sock.Resolve(loop, "ip", "a:1", nil, done); err == nil {
		t.Error("network ip was accepted")
	}
	if _, err = sock.Resolve(loop, "tcp", "a", nil, done); err == nil {
		t.Error("an address without a port was accepted")
	}
}

func TestLoopCloseEndsResolutionsWithErrClosed(t *testing.T) {
	loop := newLoop(t)
	var errs []error
	for _, address := range []string{"slow.test.:1", "127.0.0.1:1"} {
		_, err := sock.Resolve(loop, "tcp", address, hangingResolver(), func(_ []netip.AddrPort, err error) { errs = append(errs, err) })
		must(t, err)
	}
	must(t, loop.Close())
	if len(errs) != 2 {
		t.Fatalf("%d calls, want 2", len(errs))
	}
	// The literal's answer, two ends, and the goroutine's answer: Close has waited for it.
	if n := loop.Stats().Posts; n != 4 {
		t.Errorf("%d posts, want 4", n)
	}
	for _, err := range errs {
		wantErr(t, err, reactor.ErrClosed)
	}
}

func TestVersionsOfIPTakeTurns(t *testing.T) {
	parse := func(s string) (addrs []netip.AddrPort) {
		for _, f := range strings.Fields(s) {
			addrs = append(addrs, netip.AddrPortFrom(netip.MustParseAddr(f), 1))
		}
		return addrs
	}
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"1.1.1.1", "1.1.1.1"},
		{"::1 ::2 1.1.1.1 1.1.1.2", "::1 1.1.1.1 ::2 1.1.1.2"},
		{"1.1.1.1 1.1.1.2 1.1.1.3 ::1", "1.1.1.1 ::1 1.1.1.2 1.1.1.3"},
		{"::1 1.1.1.1 ::2", "::1 1.1.1.1 ::2"},
	} {
		if got := sock.Alternate(parse(tt.in)); !slices.Equal(got, parse(tt.want)) {
			t.Errorf("%s: got %v, want %s", tt.in, got, tt.want)
		}
	}
}
