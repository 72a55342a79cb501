package reactor_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

const (
	defaultPipe = 64 << 10
	widePipe    = 128 << 10
)

func newPipeLink(t *testing.T) *link {
	t.Helper()
	return newLink(t, newLoop(t), fdtest.Transport{Name: "pipes", Open: fdtest.Pipes}, nil)
}

func TestPipeIsWidenedWhenItHasBeenFull(t *testing.T) {
	l := newPipeLink(t)
	r, w := l.stream.FDs()
	if capacity(t, r) != defaultPipe {
		t.Skip("this user's pipes are smaller than the default")
	}

	l.write("not much")
	l.peer.Send(t, []byte("nor this"))
	l.poll()
	wantCapacity(t, r, defaultPipe)
	wantCapacity(t, w, defaultPipe)

	must(t, l.stream.Write(make([]byte, defaultPipe)))
	l.poll()
	wantCapacity(t, r, defaultPipe)
	wantCapacity(t, w, widePipe)

	l.peer.Send(t, make([]byte, defaultPipe))
	l.poll()
	wantCapacity(t, r, widePipe)
}

func TestPipeThatIsReadBesideASocketIsWidened(t *testing.T) {
	loop := newLoop(t)
	source := pipe(t)
	if capacity(t, source.Read) != defaultPipe {
		t.Skip("this user's pipes are smaller than the default")
	}
	ours, theirs := fdtest.Sockets(t)
	defer theirs.Close()
	s, err := loop.NewStream(source.Read, ours.Write, reactor.StreamConfig{})
	must(t, err)
	defer s.Close()
	source.Read = -1 // the stream's
	source.Send(t, make([]byte, defaultPipe))
	pollTimes(t, loop, 1)
	wantCapacity(t, source.Write, widePipe)
}

func TestPipeOfAnotherCapacityIsNotWidened(t *testing.T) {
	for _, size := range []int{4 << 10, 256 << 10} {
		l := newPipeLink(t)
		r, w := l.stream.FDs()
		for _, fd := range []int{r, w} {
			_, err := unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, size)
			must(t, err)
		}
		must(t, l.stream.Write(make([]byte, 2*size)))
		l.peer.Offer(t, make([]byte, 2*size))
		l.poll()
		wantCapacity(t, r, size)
		wantCapacity(t, w, size)
	}
}

func capacity(t *testing.T, fd int) int {
	t.Helper()
	n, err := unix.FcntlInt(uintptr(fd), unix.F_GETPIPE_SZ, 0)
	must(t, err)
	return n
}

func wantCapacity(t *testing.T, fd, want int) {
	t.Helper()
	if n := capacity(t, fd); n != want {
		t.Errorf("the pipe holds %d bytes, want %d", n, want)
	}
}
