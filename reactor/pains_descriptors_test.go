package reactor_test

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/internal/leaktest"
	"github.com/evfork/evfork/reactor"
)

// TestDescriptorsZeroToTwoAreLikeOthers: a program whose standard descriptors were
// closed is given their numbers for everything else. Zero marks nothing here.
func TestDescriptorsZeroToTwoAreLikeOthers(t *testing.T) {
	if !alone(t) {
		return
	}
	leaktest.Check(t) // the Go runtime opens its own descriptors now, if ever
	standard := keepStandard(t)
	t.Run("of the loop itself", func(t *testing.T) {
		newLoop(t) // the leak check
		standard.close()
		defer standard.restore()
		loop, err := reactor.New(reactor.Config{})
		must(t, err)
		if !fdtest.Open(0) {
			t.Error("the loop has not got descriptor 0")
		}
		l := newLink(t, loop, fdtest.Transports()[0], nil)
		echoes(t, l)
		l.peer.Close()
		shut(t, loop)
	})
	for _, transport := range fdtest.Transports() {
		t.Run("of a stream over "+transport.Name, func(t *testing.T) {
			loop := newLoop(t)
			standard.close()
			defer standard.restore()
			l := newLink(t, loop, transport, nil)
			r, _ := l.stream.FDs()
			echoes(t, l)
			l.stream.Close()
			l.poll()
			l.peer.Close()
			must(t, loop.Close())
			if r != 0 {
				t.Errorf("the stream had descriptor %d", r)
			}
		})
	}
	t.Run("of a watcher", func(t *testing.T) {
		loop := newLoop(t)
		defer standard.restore()
		for fd := range 3 {
			p := readyPipe(t)
			must(t, unix.Dup2(p.Read, fd))
			calls := 0
			w, err := loop.WatchFD(fd, reactor.Read, func(reactor.Ready) { calls++ })
			must(t, err)
			pollTimes(t, loop, 2)
			must(t, w.Stop())
			pollTimes(t, loop, 2)
			if calls != 2 {
				t.Errorf("the watcher of fd %d was called %d times in 2 iterations", fd, calls)
			}
		}
	})
}

// echoes sends something both ways.
func echoes(t *testing.T, l *link) {
	t.Helper()
	must(t, l.stream.Write([]byte("ping")))
	l.poll()
	if got, _ := l.peer.Available(t); string(got) != "ping" {
		t.Errorf("the peer got %q", got)
	}
	l.peer.Send(t, []byte("pong"))
	l.pollUntil(func() bool { return string(l.data) == "pong" })
}

// standard keeps what the standard descriptors are while they are others.
type standard struct {
	t    *testing.T
	kept [3]int
}

func keepStandard(t *testing.T) *standard {
	s := &standard{t: t}
	for fd := range s.kept {
		s.kept[fd] = dupAbove(t, fd, 10)
		t.Cleanup(func() { unix.Close(s.kept[fd]) })
	}
	return s
}

func (s *standard) close() {
	for fd := range s.kept {
		must(s.t, unix.Close(fd))
	}
}

func (s *standard) restore() {
	for fd, kept := range s.kept {
		must(s.t, unix.Dup2(kept, fd))
	}
}

func dupAbove(t *testing.T, fd, least int) int {
	t.Helper()
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, least)
	must(t, err)
	return dup
}

// TestNullDeviceAndFilesAreRefused: what the kernel cannot watch is refused
// with its own error and stays the caller's; nothing spins.
func TestNullDeviceAndFilesAreRefused(t *testing.T) {
	loop := newLoop(t)
	if loop.Backend() != "epoll" {
		t.Skip("the rule is epoll's: ", loop.Backend(), " may watch them")
	}
	dir := t.TempDir()
	for _, name := range []string{os.DevNull, os.Args[0], dir} {
		file, err := os.Open(name)
		must(t, err)
		defer file.Close()
		fd := int(file.Fd())
		_, err = loop.WatchFD(fd, reactor.Read, func(reactor.Ready) { t.Errorf("%s: called", name) })
		wantErr(t, err, unix.EPERM)
		_, err = loop.NewStream(fd, -1, reactor.StreamConfig{OnData: func([]byte) { t.Errorf("%s: read", name) }})
		wantErr(t, err, unix.EPERM)
		if !fdtest.Open(fd) {
			t.Errorf("%s was closed", name)
		}
		verify(t, loop)
	}
	mustSleep(t, loop)
}

// TestMoreDescriptorsThanSelectCould: thousands at once, all ready. The kernel's
// array of events begins small and has to grow; meanwhile nobody is left out.
func TestMoreDescriptorsThanSelectCould(t *testing.T) {
	const pairs = 1200
	needDescriptors(t, 2*pairs+200)
	loop := newLoop(t)
	calls := make([]int, 2*pairs)
	highest := 0
	for i := range pairs {
		a, b := fdtest.Socketpair(t)
		for j, fd := range []int{a, b} {
			defer unix.Close(fd)
			highest = max(highest, fd)
			_, err := loop.WatchFD(fd, reactor.Write, func(reactor.Ready) { calls[2*i+j]++ })
			must(t, err)
		}
	}
	if highest <= 1024 {
		t.Fatalf("the highest descriptor is %d", highest)
	}
	// All are reported in rotation until the array is large enough for all at once.
	pollTimes(t, loop, 60)
	waits := loop.Stats().Iterations
	for i := range calls {
		calls[i] = 0
	}
	pollTimes(t, loop, 3)
	for i, n := range calls {
		if n != 3 {
			t.Fatalf("watcher %d was called %d times in 3 iterations, after %d", i, n, waits)
		}
	}
	verify(t, loop)
	must(t, loop.Close())
}

// TestManyReadyDescriptorsAreAllServedWhileTheArrayGrows: each is called at least
// once before the array of events has reached their number.
func TestManyReadyDescriptorsAreAllServedWhileTheArrayGrows(t *testing.T) {
	loop := newLoop(t)
	const pairs = 150
	called := make(map[int]bool)
	for range pairs {
		a, b := fdtest.Socketpair(t)
		for _, fd := range []int{a, b} {
			defer unix.Close(fd)
			_, err := loop.WatchFD(fd, reactor.Write, func(reactor.Ready) { called[fd] = true })
			must(t, err)
		}
	}
	const first = 32 // the least that a poller fetches at once
	pollTimes(t, loop, 2*pairs/first+1)
	if len(called) != 2*pairs {
		t.Errorf("%d of %d were called", len(called), 2*pairs)
	}
	must(t, loop.Close())
}

// needDescriptors skips the test where so many are not allowed. The Go runtime has
// raised the limit as far as it can be raised.
func needDescriptors(t *testing.T, want uint64) {
	t.Helper()
	var limit unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	if uint64(limit.Cur) < want {
		t.Skipf("at most %d descriptors are allowed here", limit.Cur)
	}
}
