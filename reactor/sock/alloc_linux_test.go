package sock_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor/sock"
)

func TestAcceptingDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	loop := newLoop(t)
	accepted := 0
	l := listen(t, loop, "tcp", "127.0.0.1:0", sock.ListenConfig{}, func(c *sock.Conn) { accepted++ })
	sa := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: int(l.Addr().AddrPort.Port())}
	once := func() {
		want := accepted + 1
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Connect(fd, sa); err != nil {
			t.Fatal(err)
		}
		for accepted < want {
			if err := loop.Poll(-1); err != nil {
				t.Fatal(err)
			}
		}
		unix.Close(fd)
	}
	once()
	if n := testing.AllocsPerRun(100, once); n != 0 {
		t.Errorf("%v allocations per connection", n)
	}
}

func TestDatagramsDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	loop := newLoop(t)
	received := 0
	p, err := sock.ListenPacket(loop, "udp", "127.0.0.1:0", sock.PacketConfig{
		OnPacket: func(data []byte, from sock.Addr) { received += len(data) },
	})
	must(t, err)
	to, err := p.Addr()
	must(t, err)
	data := []byte("x")
	once := func() {
		want := received + 1
		if err := p.SendTo(data, to.AddrPort); err != nil {
			t.Fatal(err)
		}
		for received < want {
			if err := loop.Poll(-1); err != nil {
				t.Fatal(err)
			}
		}
	}
	once()
	if n := testing.AllocsPerRun(100, once); n != 0 {
		t.Errorf("%v allocations per datagram", n)
	}
}
