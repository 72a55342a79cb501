package poller_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/internal/leaktest"
	"github.com/evfork/evfork/internal/poller"
)

// The suite is the contract in doc.go as tests. Every test runs on every poller
// that the platform has, and on Linux also on kqueues simulated with the quirks of
// every system that has them.

type constructor struct {
	name string
	open func() (poller.Poller, error)
}

func constructors() []constructor {
	named := func(name string) func() (poller.Poller, error) {
		return func() (poller.Poller, error) { return poller.Open(name) }
	}
	return append([]constructor{{"default", named("")}, {"poll", named("poll")}}, more()...)
}

// pollOfDarwin is poll(2) as macOS has it, simulated.
const pollOfDarwin = "poll of darwin"

// needHangUpAlone skips what asks only for the hang-up of a socket or of a pipe's
// read end, of which poll(2) tells nothing on macOS.
func needHangUpAlone(t testing.TB, p poller.Poller) {
	t.Helper()
	if p.Name() == "poll" && (runtime.GOOS == "darwin" || strings.Contains(t.Name(), strings.ReplaceAll("/"+pollOfDarwin, " ", "_"))) {
		t.Skip("macOS tells nothing of a descriptor of which nothing else is asked")
	}
}

// onEach runs body with a fresh poller of each kind.
func onEach(t *testing.T, body func(t *testing.T, p poller.Poller)) {
	for _, c := range constructors() {
		t.Run(c.name, func(t *testing.T) {
			leaktest.Check(t)
			body(t, open(t, c))
		})
	}
}

// open opens a poller that is closed at the end of the test.
func open(t testing.TB, c constructor) poller.Poller {
	t.Helper()
	p, err := c.open()
	must(t, err)
	t.Cleanup(func() { must(t, p.Close()) })
	return p
}

// hostFD is what a host watches, on a poller that has such a thing.
func hostFD(t testing.TB, p poller.Poller) int {
	t.Helper()
	fd, err := p.FD()
	if p.Name() == "poll" && errors.Is(err, poller.ErrUnsupported) {
		t.Skip("poll(2) has no descriptor that a host could watch: ", err)
	}
	must(t, err)
	return fd
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pipe returns the two ends of one pipe, closed at the end of the test.
func pipe(t testing.TB) *fdtest.End {
	t.Helper()
	r, w := fdtest.Pipe(t)
	p := &fdtest.End{Read: r, Write: w}
	t.Cleanup(p.Close)
	return p
}

// socket returns one of two connected sockets and what writes to it, closed at
// the end of the test.
func socket(t testing.TB) (fd, peer int) {
	t.Helper()
	fd, peer = fdtest.Socketpair(t)
	t.Cleanup(func() {
		unix.Close(fd)
		unix.Close(peer)
	})
	return fd, peer
}

func put(t testing.TB, fd int) {
	t.Helper()
	_, err := unix.Write(fd, []byte("x"))
	must(t, err)
}

// await waits until a host's descriptor is readable.
func await(t testing.TB, host int) {
	t.Helper()
	fdtest.Await(t, host, unix.POLLIN)
}

// expect waits until the poller reports exactly the wanted event. Waits that
// report nothing are legal; any other event is not.
func expect(t testing.TB, p poller.Poller, want poller.Event) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		events, err := p.Wait(time.Second)
		must(t, err)
		if len(events) == 0 {
			continue
		}
		if len(events) != 1 || events[0] != want {
			t.Fatalf("got %v, want only %v", events, want)
		}
		return
	}
	t.Fatalf("no event, want %v", want)
}

// expectQuiet checks that nothing is reported. What was ready would be reported
// at once, so asking twice is enough.
func expectQuiet(t testing.TB, p poller.Poller) {
	t.Helper()
	for range 2 {
		events, err := p.Wait(0)
		must(t, err)
		if len(events) != 0 {
			t.Fatalf("got %v, want silence", events)
		}
	}
}

func event(fd int, gen uint32, ready poller.Interest) poller.Event {
	return poller.Event{FD: int32(fd), Gen: gen, Ready: ready}
}

const everything = poller.Read | poller.Write | poller.HangUp
