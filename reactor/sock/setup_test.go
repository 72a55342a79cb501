package sock_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/kqsim"
	"github.com/evfork/evfork/internal/leaktest"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/reactortest"
	"github.com/evfork/evfork/reactor/sock"
)

// guard ends a test that hangs, long after it should have ended.
const guard = 2 * time.Minute

// helperVariable names the function that the test binary runs as a child.
const helperVariable = "EVFORK_SOCK_HELPER"

func TestMain(m *testing.M) {
	kqsim.Install()
	if name := os.Getenv(helperVariable); name != "" {
		if err := helpers[name](); err != nil {
			os.NewFile(reportFD, "report").WriteString(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// reportFD is where a helper says what went wrong: 0 to 2 may be its subject.
const reportFD = 3

// runHelper runs a helper in a child and fails with what it reports.
func runHelper(t *testing.T, name string) {
	t.Helper()
	leaktest.Check(t)
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperVariable+"="+name)
	cmd.ExtraFiles = []*os.File{w}
	must(t, cmd.Start())
	w.Close()
	ending := time.AfterFunc(5*guard, func() { cmd.Process.Kill() })
	defer ending.Stop()
	var report bytes.Buffer
	report.ReadFrom(r)
	if err := cmd.Wait(); err != nil {
		t.Errorf("helper %s: %v: %s", name, err, report.Bytes())
	}
}

// newLoop makes a loop that is verified and closed at the end of the test, which
// must leave nothing behind then.
func newLoop(t testing.TB) *reactor.Loop {
	t.Helper()
	return newLoopWith(t, reactor.Config{})
}

// shortDir is TempDir for socket files: where that of the system is in folders, and the test's name comes to it, the
// path does not fit into an address, which has 104 bytes on BSDs and 108 on Linux.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "evfork")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	return dir
}

// newHandLoop makes a loop whose time the test moves.
func newHandLoop(t testing.TB) (*reactor.Loop, *reactortest.Clock) {
	t.Helper()
	clock := reactortest.NewClock()
	return newLoopWith(t, reactor.Config{Clock: clock}), clock
}

func newLoopWith(t testing.TB, config reactor.Config) *reactor.Loop {
	t.Helper()
	leaktest.Check(t)
	loop, err := reactor.New(config)
	must(t, err)
	t.Cleanup(func() {
		if err := loop.Verify(); err != nil {
			t.Error(err)
		}
		must(t, loop.Close())
	})
	return loop
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("got error %v, want %v", got, want)
	}
}

// until polls until cond is true, and reports whether it came true.
func until(loop *reactor.Loop, cond func() bool) error {
	for deadline := time.Now().Add(guard); !cond(); {
		if time.Now().After(deadline) {
			return errors.New("what the test waits for has not happened")
		}
		if err := loop.Poll(100 * time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// pollUntil polls until cond is true.
func pollUntil(t testing.TB, loop *reactor.Loop, cond func() bool) {
	t.Helper()
	must(t, until(loop, cond))
}

// pollTimes polls that often without waiting.
func pollTimes(t testing.TB, loop *reactor.Loop, times int) {
	t.Helper()
	for range times {
		must(t, loop.Poll(0))
	}
}

func listen(t testing.TB, loop *reactor.Loop, network, address string, config sock.ListenConfig, onAccept func(*sock.Conn)) *sock.Listener {
	t.Helper()
	l, err := sock.Listen(loop, network, address, config, onAccept)
	must(t, err)
	return l
}

// echo listens with a callback that sends back what it gets.
func echo(t testing.TB, loop *reactor.Loop, network, address string) *sock.Listener {
	t.Helper()
	return listen(t, loop, network, address, sock.ListenConfig{}, func(c *sock.Conn) {
		if _, err := echoStream(c); err != nil {
			t.Errorf("stream: %v", err)
		}
	})
}

func echoStream(c *sock.Conn) (s *reactor.Stream, err error) {
	s, err = c.Stream(reactor.StreamConfig{
		OnData: func(p []byte) { s.Write(p) },
		OnEOF:  func() { s.CloseWrite() },
	})
	return s, err
}

// client connects by package net, which serves as the other side.
func client(t testing.TB, addr sock.Addr) net.Conn {
	t.Helper()
	network := "tcp"
	if addr.Path != "" {
		network = "unix"
	}
	c, err := net.DialTimeout(network, addr.String(), guard)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	must(t, c.SetDeadline(time.Now().Add(guard)))
	return c
}

// dialled is what a dial ended with.
type dialled struct {
	calls  int
	err    error
	stream *reactor.Stream
}

func (d *dialled) done() bool { return d.calls > 0 }

// dial starts a dial that makes a stream.
func dial(t testing.TB, loop *reactor.Loop, network, address string, config sock.DialConfig, stream reactor.StreamConfig) (*sock.Dialing, *dialled) {
	t.Helper()
	d := &dialled{}
	h, err := sock.Dial(loop, network, address, config, func(c *sock.Conn, err error) {
		d.calls++
		d.err = err
		if err == nil {
			if d.stream, err = c.Stream(stream); err != nil {
				t.Errorf("stream: %v", err)
			}
		}
	})
	must(t, err)
	return h, d
}

// reserved returns a TCP address where nobody listens, and nobody will.
func reserved(t testing.TB) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	must(t, err)
	unix.CloseOnExec(fd)
	t.Cleanup(func() { unix.Close(fd) })
	must(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	addr, err := sock.LocalAddr(fd)
	must(t, err)
	return addr.String()
}

// needIPv6 skips a test, or a case whose address is of IPv6, where there is none.
func needIPv6(t testing.TB, address string) {
	t.Helper()
	if !strings.Contains(address, "::1") {
		return
	}
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	l.Close()
}

func getsockopt(t testing.TB, fd, level, option int) int {
	t.Helper()
	v, err := unix.GetsockoptInt(fd, level, option)
	must(t, err)
	return v
}

func wantOption(t testing.TB, what string, fd, level, option, want int) {
	t.Helper()
	if got := getsockopt(t, fd, level, option); got != want {
		t.Errorf("%s is %d, want %d", what, got, want)
	}
}

// pattern is data in which a lost, doubled or moved piece shows: numbers, one
// after the other.
func pattern(size int) []byte {
	b := make([]byte, 0, size+4)
	for i := uint32(0); len(b) < size; i++ {
		b = binary.BigEndian.AppendUint32(b, i)
	}
	return b[:size]
}
