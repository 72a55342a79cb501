package sock_test

import (
	"bytes"
	"context"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/sock"
)

// inbox records what a PacketConn receives.
type inbox struct {
	data []string
	from []sock.Addr
	errs []error
}

func (in *inbox) config() sock.PacketConfig {
	return sock.PacketConfig{
		OnPacket: func(data []byte, from sock.Addr) {
			in.data = append(in.data, string(data))
			in.from = append(in.from, from)
		},
		OnError: func(err error) { in.errs = append(in.errs, err) },
	}
}

func listenPacket(t testing.TB, loop *reactor.Loop, network, address string, config sock.PacketConfig) (*sock.PacketConn, sock.Addr) {
	t.Helper()
	p, err := sock.ListenPacket(loop, network, address, config)
	must(t, err)
	addr, err := p.Addr()
	must(t, err)
	return p, addr
}

func dialPacket(t testing.TB, loop *reactor.Loop, network string, to sock.Addr, config sock.PacketConfig) *sock.PacketConn {
	t.Helper()
	p, err := sock.DialPacket(loop, network, to.String(), config)
	must(t, err)
	return p
}

func TestDatagramsArriveWholeWithTheirSender(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", "localhost:0"} {
		t.Run(address, func(t *testing.T) {
			needIPv6(t, address)
			loop := newLoop(t)
			var in inbox
			_, to := listenPacket(t, loop, "udp", address, in.config())
			p, from := listenPacket(t, loop, "udp", address, sock.PacketConfig{})
			want := []string{"one", "", string(pattern(1400)), string(pattern(65000))}
			for _, data := range want {
				must(t, p.SendTo([]byte(data), to.AddrPort))
			}
			pollUntil(t, loop, func() bool { return len(in.data) == len(want) })
			if !slices.Equal(in.data, want) {
				t.Error("the datagrams differ")
			}
			for _, addr := range in.from {
				if addr != from {
					t.Errorf("from %v, want %v", addr, from)
				}
			}
			if n := p.Stats().Sent; n != 4 {
				t.Errorf("sent %d", n)
			}
		})
	}
}

func TestDualStackDatagrams(t *testing.T) {
	needDualStack(t)
	needIPv6(t, "::1")
	loop := newLoop(t)
	var in, back inbox
	server, addr := listenPacket(t, loop, "udp", ":0", in.config())
	for _, network := range []string{"udp4", "udp6"} {
		address := map[string]string{"udp4": "127.0.0.1:0", "udp6": "[::1]:0"}[network]
		p, from := listenPacket(t, loop, network, address, back.config())
		to := netip.AddrPortFrom(from.AddrPort.Addr(), addr.AddrPort.Port())
		must(t, p.SendTo([]byte(network), to))
		n := len(in.data)
		pollUntil(t, loop, func() bool { return len(in.data) > n })
		if in.from[n] != from {
			t.Errorf("from %v, want %v", in.from[n], from)
		}
		must(t, server.SendTo([]byte("answer"), in.from[n].AddrPort))
		pollUntil(t, loop, func() bool { return len(back.data) > n })
	}
}

func TestConnectedDatagramsGoBothWays(t *testing.T) {
	loop := newLoop(t)
	var server *sock.PacketConn
	var in inbox
	server, to := listenPacket(t, loop, "udp", "127.0.0.1:0", sock.PacketConfig{
		OnPacket: func(data []byte, from sock.Addr) { must(t, server.SendTo(bytes.ToUpper(data), from.AddrPort)) },
	})
	p := dialPacket(t, loop, "udp", to, in.config())
	must(t, p.Send([]byte("hello")))
	pollUntil(t, loop, func() bool { return len(in.data) == 1 })
	if in.data[0] != "HELLO" || in.from[0] != to {
		t.Errorf("got %q from %v", in.data[0], in.from[0])
	}
}

func TestConnectedSocketReportsThatNobodyListens(t *testing.T) {
	loop := newLoop(t)
	other, to := listenPacket(t, loop, "udp", "127.0.0.1:0", sock.PacketConfig{})
	other.Close()
	var in inbox
	p := dialPacket(t, loop, "udp", to, in.config())
	must(t, p.Send([]byte("x")))
	pollUntil(t, loop, func() bool { return len(in.errs) == 1 })
	wantErr(t, in.errs[0], unix.ECONNREFUSED)
	pollTimes(t, loop, 3)
	if len(in.errs) != 1 {
		t.Errorf("reported %v", in.errs)
	}
	must(t, p.Send([]byte("x"))) // it goes on
}

func TestDatagramThatIsTooLongIsReported(t *testing.T) {
	for _, network := range []string{"udp", "unixgram"} {
		t.Run(network, func(t *testing.T) {
			loop := newLoop(t)
			var in inbox
			config := in.config()
			config.MaxPacket = 4
			address := "127.0.0.1:0"
			if network == "unixgram" {
				address = filepath.Join(shortDir(t), "s")
			}
			server, to := listenPacket(t, loop, network, address, config)
			p := dialPacket(t, loop, network, to, sock.PacketConfig{})
			for _, data := range []string{"1234", "12345", "123"} {
				must(t, p.Send([]byte(data)))
			}
			pollUntil(t, loop, func() bool { return len(in.data) == 2 })
			if !slices.Equal(in.data, []string{"1234", "123"}) || len(in.errs) != 1 {
				t.Fatalf("got %q, errors %v", in.data, in.errs)
			}
			wantErr(t, in.errs[0], sock.ErrTruncated)
			if s := server.Stats(); s.Received != 2 || s.Truncated != 1 {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

// A MaxPacket that was more than the memory has was accepted, and a panic when the first datagram came.
func TestMaxPacketThatNoDatagramHasIsRefused(t *testing.T) {
	loop := newLoop(t)
	for size, want := range map[int]error{64<<20 + 1: sock.ErrMaxPacket, math.MaxInt: sock.ErrMaxPacket, math.MaxInt - 100: sock.ErrMaxPacket, -1: reactor.ErrInvalid} {
		_, err := sock.ListenPacket(loop, "udp", "127.0.0.1:0", sock.PacketConfig{MaxPacket: size})
		wantErr(t, err, want)
		_, err = sock.DialPacket(loop, "udp", "127.0.0.1:9", sock.PacketConfig{MaxPacket: size})
		wantErr(t, err, want)
	}
	var in inbox
	config := in.config()
	config.MaxPacket = 64 << 20
	p, to := listenPacket(t, loop, "udp", "127.0.0.1:0", config)
	must(t, p.SendTo([]byte("x"), to.AddrPort))
	pollUntil(t, loop, func() bool { return len(in.data) == 1 })
}

func TestTooLongForTheNetworkIsAnError(t *testing.T) {
	loop := newLoop(t)
	p, to := listenPacket(t, loop, "udp", "127.0.0.1:0", sock.PacketConfig{})
	wantErr(t, p.SendTo(make([]byte, 70000), to.AddrPort), unix.EMSGSIZE)
}

func TestUnixDatagramsAreAnswered(t *testing.T) {
	dir := shortDir(t)
	for _, names := range [][2]string{{filepath.Join(dir, "server"), filepath.Join(dir, "client")}, {"@evfork-sock-server", "@evfork-sock-client"}} {
		t.Run(filepath.Base(names[0]), func(t *testing.T) {
			if strings.HasPrefix(names[0], "@") {
				needAbstract(t)
			}
			loop := newLoop(t)
			var server *sock.PacketConn
			var in inbox
			server, to := listenPacket(t, loop, "unixgram", names[0], sock.PacketConfig{
				OnPacket: func(data []byte, from sock.Addr) { must(t, server.SendToPath(data, from.Path)) },
			})
			p, _ := listenPacket(t, loop, "unixgram", names[1], in.config())
			for _, data := range []string{"hello", ""} {
				must(t, p.SendToPath([]byte(data), to.Path))
			}
			pollUntil(t, loop, func() bool { return len(in.data) == 2 })
			if !slices.Equal(in.data, []string{"hello", ""}) || in.from[0].Path != names[0] {
				t.Errorf("got %q from %v", in.data, in.from)
			}
		})
	}
}

func TestUnixDatagramSocketsAreReplacedAndRemoved(t *testing.T) {
	loop := newLoop(t)
	path := filepath.Join(shortDir(t), "s")
	p, _ := listenPacket(t, loop, "unixgram", path, sock.PacketConfig{KeepFile: true, Mode: 0o600})
	_, err := sock.ListenPacket(loop, "unixgram", path, sock.PacketConfig{})
	wantErr(t, err, unix.EADDRINUSE)
	p.Close()
	p, _ = listenPacket(t, loop, "unixgram", path, sock.PacketConfig{Mode: 0o600})
	info, err := os.Lstat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	p.Close()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}
}

// full is a receiver that does not receive yet, and a sender whose queue has begun to fill.
func full(t *testing.T, loop *reactor.Loop, connected bool, config sock.PacketConfig) (receiver int, send func() error, p *sock.PacketConn) {
	t.Helper()
	path := filepath.Join(shortDir(t), "s")
	receiver, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	must(t, err)
	unix.CloseOnExec(receiver)
	t.Cleanup(func() { unix.Close(receiver) })
	must(t, unix.SetNonblock(receiver, true))
	must(t, unix.Bind(receiver, &unix.SockaddrUnix{Name: path}))
	n := 0
	if connected {
		p = dialPacket(t, loop, "unixgram", sock.Addr{Path: path}, config)
	} else {
		p, _ = listenPacket(t, loop, "unixgram", path+".sender", config)
	}
	send = func() error {
		data := []byte{byte(n), byte(n >> 8)}
		n++
		if connected {
			return p.Send(data)
		}
		return p.SendToPath(data, path)
	}
	for p.Stats().Queued == 0 {
		must(t, send())
	}
	return receiver, send, p
}

func TestQueuedDatagramsLeaveInOrder(t *testing.T) {
	for _, connected := range []bool{true, false} {
		loop := newLoop(t)
		drained := 0
		receiver, send, p := full(t, loop, connected, sock.PacketConfig{MaxQueued: 100, OnDrain: func() { drained++ }})
		sent := int(p.Stats().Sent) + 1
		// There is room now, but not for one that would overtake.
		got := 0
		buf := make([]byte, 2)
		_, err := unix.Read(receiver, buf)
		must(t, err)
		got++
		for {
			err := send()
			if err != nil {
				wantErr(t, err, reactor.ErrBufferFull)
				break
			}
			sent++
		}
		if q := p.Stats().Queued; q > 100 || q < 98 {
			t.Errorf("%d bytes are queued", q)
		}
		// It waits without spinning.
		pollTimes(t, loop, 1)
		before := loop.Stats().Events
		pollTimes(t, loop, 10)
		if n := loop.Stats().Events - before; n > 0 {
			t.Errorf("%d events while there is no room", n)
		}
		receive := func() bool {
			for {
				n, err := unix.Read(receiver, buf)
				if err != nil {
					return got == sent
				}
				if n != 2 || int(buf[0])|int(buf[1])<<8 != got {
					t.Fatalf("got % x, want number %d", buf[:n], got)
				}
				got++
			}
		}
		pollUntil(t, loop, receive)
		pollUntil(t, loop, func() bool { return drained == 1 })
		before = loop.Stats().Events
		pollTimes(t, loop, 10)
		if n := loop.Stats().Events - before; n > 0 {
			t.Errorf("%d events while nothing is queued", n)
		}
		if s := p.Stats(); s.Queued != 0 || s.Sent != uint64(sent) || s.Refused != 1 {
			t.Errorf("stats %+v, want %d sent", s, sent)
		}
	}
}

// TestQueuedDatagramToAnotherAddressDoesNotSpin: behind one to the address of DialPacket,
// which has room again, one waited for room elsewhere in a busy loop.
func TestQueuedDatagramToAnotherAddressDoesNotSpin(t *testing.T) {
	loop := newLoop(t)
	receiver, _, p := full(t, loop, true, sock.PacketConfig{})
	elsewhere, _, other := full(t, loop, false, sock.PacketConfig{})
	path, err := sock.LocalAddr(elsewhere)
	must(t, err)
	other.Close()
	must(t, p.SendToPath([]byte("to elsewhere"), path.Path))
	drain := func(fd int) {
		for buf := make([]byte, 100); err == nil; {
			_, err = unix.Read(fd, buf)
		}
		wantErr(t, err, unix.EAGAIN)
		err = nil
	}
	drain(receiver)
	pollUntil(t, loop, func() bool { return p.Stats().Queued == len("to elsewhere") })
	before := loop.Stats().Events
	pollTimes(t, loop, 10)
	if n := loop.Stats().Events - before; n > 0 {
		t.Errorf("reported ready %d times though nothing can be sent", n)
	}
	drain(elsewhere)
	pollUntil(t, loop, func() bool { return p.Stats().Queued == 0 })
	p.Close()
}

// A panic of OnError over a datagram that was lost left those behind it in the queue for good, if room for them was waited
// for by a timer; Send refused every other, and Shutdown waited for ever.
func TestPanicOverALostDatagramDoesNotHoldUpThoseBehindIt(t *testing.T) {
	panics := 0
	loop := newLoopWith(t, reactor.Config{OnPanic: func(*reactor.Panic) { panics++ }})
	gone, _, p := full(t, loop, false, sock.PacketConfig{OnError: func(error) { panic("in OnError") }})
	lost, err := sock.LocalAddr(gone)
	must(t, err)
	must(t, p.SendToPath([]byte("lost, too"), lost.Path))
	var in inbox
	_, to := listenPacket(t, loop, "unixgram", filepath.Join(shortDir(t), "r"), in.config())
	must(t, p.SendToPath([]byte("behind it"), to.Path))
	must(t, os.Remove(lost.Path))
	pollUntil(t, loop, func() bool { return len(in.data) > 0 })
	if panics != 2 || in.data[0] != "behind it" || p.Stats().Queued > 0 {
		t.Errorf("%d panics, received %q, %d bytes are queued", panics, in.data, p.Stats().Queued)
	}
}

// TestARefusalWithoutAQueueDoesNotTakeBackTheDrain: the datagram that is refused in OnError is too large to be queued at
// all, and an earlier one was refused because of what was.
func TestARefusalWithoutAQueueDoesNotTakeBackTheDrain(t *testing.T) {
	loop := newLoop(t)
	busy, _, other := full(t, loop, false, sock.PacketConfig{})
	to, err := sock.LocalAddr(busy)
	must(t, err)
	other.Close()
	drained := 0
	var p *sock.PacketConn
	gone, send, p := full(t, loop, false, sock.PacketConfig{
		MaxQueued: 50,
		OnDrain:   func() { drained++ },
		OnError: func(error) {
			if p.Stats().Queued == 0 {
				wantErr(t, p.SendToPath(make([]byte, 100), to.Path), reactor.ErrBufferFull)
			}
		},
	})
	for err == nil {
		err = send()
	}
	wantErr(t, err, reactor.ErrBufferFull)
	lost, err := sock.LocalAddr(gone)
	must(t, err)
	must(t, os.Remove(lost.Path))
	pollUntil(t, loop, func() bool { return p.Stats().Queued == 0 })
	if drained != 1 {
		t.Errorf("OnDrain was called %d times, want once", drained)
	}
}

func TestWithoutAQueueDatagramsAreRefused(t *testing.T) {
	loop := newLoop(t)
	path := filepath.Join(shortDir(t), "s")
	receiver, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	must(t, err)
	unix.CloseOnExec(receiver)
	defer unix.Close(receiver)
	must(t, unix.Bind(receiver, &unix.SockaddrUnix{Name: path}))
	p := dialPacket(t, loop, "unixgram", sock.Addr{Path: path}, sock.PacketConfig{MaxQueued: -1})
	for err == nil {
		err = p.Send([]byte("x"))
	}
	wantErr(t, err, reactor.ErrBufferFull)
}

func TestShutdownSendsWhatIsQueued(t *testing.T) {
	loop := newLoop(t)
	receiver, _, p := full(t, loop, true, sock.PacketConfig{})
	sent := int(p.Stats().Sent) + 1
	done := make(chan int, 1)
	go func() {
		got := 0
		buf := make([]byte, 2)
		for got < sent {
			if _, err := unix.Read(receiver, buf); err == nil {
				got++
				continue
			}
			fds := []unix.PollFd{{Fd: int32(receiver), Events: unix.POLLIN}}
			unix.Poll(fds, 100)
		}
		done <- got
	}()
	ctx, cancel := context.WithTimeout(context.Background(), guard)
	defer cancel()
	must(t, loop.Shutdown(ctx))
	if got := <-done; got != sent {
		t.Errorf("received %d of %d", got, sent)
	}
}

func TestQueuedDatagramWhoseReceiverGoesIsReported(t *testing.T) {
	loop := newLoop(t)
	var errs []error
	receiver, _, _ := full(t, loop, false, sock.PacketConfig{OnError: func(err error) { errs = append(errs, err) }})
	must(t, unix.Shutdown(receiver, unix.SHUT_RD))
	pollUntil(t, loop, func() bool { return len(errs) == 1 })
	wantErr(t, errs[0], unix.EPIPE)
}

func TestCloseInsideOnPacket(t *testing.T) {
	loop := newLoop(t)
	calls := 0
	var p *sock.PacketConn
	p, to := listenPacket(t, loop, "udp", "127.0.0.1:0", sock.PacketConfig{OnPacket: func([]byte, sock.Addr) {
		calls++
		p.Close()
		p.Close()
	}})
	for range 3 {
		must(t, p.SendTo([]byte("x"), to.AddrPort))
	}
	pollUntil(t, loop, func() bool { return calls > 0 })
	pollTimes(t, loop, 3)
	if calls != 1 || loop.Stats().Refs != 0 {
		t.Errorf("%d calls, %d references", calls, loop.Stats().Refs)
	}
	wantErr(t, p.Send(nil), reactor.ErrClosed)
}

func TestPacketConnCountsAsAReference(t *testing.T) {
	loop := newLoop(t)
	p, _ := listenPacket(t, loop, "udp", "127.0.0.1:0", sock.PacketConfig{})
	for _, want := range []int{1, 0, 1} {
		if got := loop.Stats().Refs; got != want {
			t.Errorf("%d references, want %d", got, want)
		}
		if want == 1 {
			p.Unref()
		} else {
			p.Ref()
		}
	}
}

func TestPacketConnsShareAPort(t *testing.T) {
	loop := newLoop(t)
	config := sock.PacketConfig{ReusePort: true}
	p, addr := listenPacket(t, loop, "udp", "127.0.0.1:0", config)
	wantOption(t, "SO_REUSEPORT", p.FD(), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	wantFlags(t, p.FD())
	listenPacket(t, loop, "udp", addr.String(), config)
	_, err := sock.ListenPacket(loop, "udp", addr.String(), sock.PacketConfig{})
	wantErr(t, err, unix.EADDRINUSE)
}

func TestPacketConnRefusesBadArguments(t *testing.T) {
	loop := newLoop(t)
	if _, err := sock.ListenPacket(loop, "tcp", "127.0.0.1:0", sock.PacketConfig{}); err == nil {
		t.Error("network tcp was accepted")
	}
	_, err := sock.ListenPacket(loop, "udp", "127.0.0.1:0", sock.PacketConfig{MaxPacket: -1})
	wantErr(t, err, reactor.ErrInvalid)
	_, err = sock.DialPacket(loop, "udp", "example.org:1", sock.PacketConfig{})
	wantErr(t, err, sock.ErrHostName)
	p, _ := listenPacket(t, loop, "udp4", "127.0.0.1:0", sock.PacketConfig{})
	wantErr(t, p.SendTo(nil, netip.MustParseAddrPort("[::1]:1")), unix.EAFNOSUPPORT)
	wantErr(t, p.SendTo(nil, netip.AddrPort{}), unix.EINVAL)
	wantErr(t, p.SendToPath(nil, "/s"), reactor.ErrInvalid)
}
