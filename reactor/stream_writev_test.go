package reactor_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// vectors cuts n bytes of the pattern into that many buffers, of which every
// third is empty if there are so many.
func vectors(n, buffers int) (all []byte, bufs [][]byte) {
	all = pattern(0, n)
	rest := all
	for i := range buffers {
		size := min(len(rest), n/buffers+1)
		switch {
		case i == buffers-1:
			size = len(rest)
		case i%3 == 2:
			size = 0
		case i%3 == 1:
			size = min(len(rest), 2*size)
		}
		bufs = append(bufs, rest[:size])
		rest = rest[size:]
	}
	return all, bufs
}

// writeIn writes inside an iteration, where large writes leave at once.
func (l *link) writeIn(bufs ...[]byte) (err error) {
	l.t.Helper()
	must(l.t, l.loop.Post(func() { err = l.stream.Writev(bufs...) }))
	l.poll()
	return err
}

func TestWritevWritesEveryByteOfAnyNumberOfBuffers(t *testing.T) {
	for _, c := range []struct {
		name        string
		size, count int
	}{
		{"one byte", 1, 1},
		{"three", 3, 5},
		{"more than one system call takes", 1500 * 10, 1500},
		{"large, more than one system call takes", 1500 * 6000, 1500},
		{"beside the limit of the copy", 64<<10 - 1, 3},
		{"at the limit of the copy", 64 << 10, 3},
		{"8 MB in one", 8 << 20, 1},
		{"8 MB in two", 8 << 20, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			onLinks(t, nil, func(t *testing.T, l *link) {
				_, w := l.stream.FDs()
				fdtest.Shrink(t, w)
				want, bufs := vectors(c.size, c.count)
				must(t, l.writeIn(bufs...))
				verify(t, l.loop)
				if n := l.stream.Accepted(); n != uint64(len(want)) {
					t.Errorf("%d bytes accepted", n)
				}
				wantBytes(t, l.receive(len(want)), want)
			})
		})
	}
}

// TestWritevToAReaderThatTakesFewBytes also has small writes around it, which
// must keep their places.
func TestWritevToAReaderThatTakesFewBytes(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		_, w := l.stream.FDs()
		fdtest.Shrink(t, w)
		var want []byte
		rnd := rand.New(rand.NewPCG(3, 4))
		for i := range 20 {
			all, bufs := vectors(1+rnd.IntN(300_000), 1+rnd.IntN(30))
			must(t, l.stream.Write([]byte{byte(i)}))
			must(t, l.writeIn(bufs...))
			must(t, l.stream.Writev([]byte("outside"), nil, []byte{byte(i)}))
			want = slices.Concat(want, []byte{byte(i)}, all, []byte("outside"), []byte{byte(i)})
			verify(t, l.loop)
		}
		l.stream.CloseWrite()
		var got []byte
		buf := make([]byte, 5000)
		for eof := false; !eof; {
			l.poll()
			n, err := unix.Read(l.peer.Read, buf[:1+rnd.IntN(len(buf))])
			eof = n == 0 && err == nil
			got = append(got, buf[:max(n, 0)]...)
		}
		wantBytes(t, got, want)
	})
}

// TestLargeWriteThatIsTakenInSeveralFullPieces: one system call transfers a
// limited amount, and the next begins in the middle of a buffer.
func TestLargeWriteThatIsTakenInSeveralFullPieces(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		_, w := l.stream.FDs()
		fdtest.Widen(t, w)
		for _, sizes := range [][]int{{900_000}, {300_000, 50_000}, {10_000, 600_000, 0, 100_000}} {
			var want []byte
			var bufs [][]byte
			for _, n := range sizes {
				b := pattern(len(want), n)
				want = append(want, b...)
				bufs = append(bufs, b)
			}
			must(t, l.writeIn(bufs...))
			wantBytes(t, l.receive(len(want)), want)
		}
	})
}

func TestWritevReturnsTheBuffersToTheCaller(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		for _, size := range []int{10, 1 << 20} { // copied, and written directly in part
			want := pattern(0, size)
			mine := bytes.Clone(want)
			must(t, l.writeIn(mine[:size/2], mine[size/2:]))
			clear(mine)
			wantBytes(t, l.receive(size), want)
		}
	})
}

func TestNothingOfAWritevIsQueuedBeyondMaxBuffered(t *testing.T) {
	config := func(*link) reactor.StreamConfig { return reactor.StreamConfig{MaxBuffered: 100_000} }
	onLinks(t, config, func(t *testing.T, l *link) {
		large := make([]byte, 100_001)
		wantErr(t, l.writeIn(large[:50_000], large[50_000:]), reactor.ErrBufferFull)
		wantErr(t, l.writeIn(large), reactor.ErrBufferFull)
		if l.stream.Buffered() != 0 || l.stream.Accepted() != 0 || l.loop.Stats().Writes != 0 {
			t.Errorf("%d bytes queued, %d accepted, %d writes", l.stream.Buffered(), l.stream.Accepted(), l.loop.Stats().Writes)
		}
		must(t, l.stream.Writev([]byte("a"), []byte("b")))
		wantErr(t, l.stream.Writev(large[:50_000], large[:49_999]), reactor.ErrBufferFull)
		wantBytes(t, l.receive(2), []byte("ab"))
		l.pollUntil(func() bool { return l.saw("drain") }) // tells when to try again
		must(t, l.writeIn(pattern(0, 100_000)))
		wantBytes(t, l.receive(100_000), pattern(0, 100_000))
	})
}

func TestWritevOfSmallBuffersMakesNoSystemCallOfItsOwn(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		var writes uint64
		l.loop.Post(func() {
			for range 10 {
				must(t, l.stream.Writev([]byte("head"), []byte("body"), nil))
			}
			writes = l.loop.Stats().Writes
		})
		l.poll()
		if n := l.loop.Stats().Writes; writes != 0 || n != 1 {
			t.Errorf("%d writes before the end of the iteration, %d after it", writes, n)
		}
		wantBytes(t, l.receive(80), bytes.Repeat([]byte("headbody"), 10))
	})
}

func TestEmptyWritevWritesNothing(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		must(t, l.writeIn())
		must(t, l.writeIn(nil, []byte{}))
		if s := l.loop.Stats(); s.Writes != 0 || l.stream.Chunks() != 0 {
			t.Errorf("%d writes, %d buffers held", s.Writes, l.stream.Chunks())
		}
	})
}

func TestWritevIsRefusedLikeWrite(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.stream.CloseWrite()
		wantErr(t, l.stream.Writev([]byte("x")), reactor.ErrClosed)
		wantErr(t, l.stream.Writev(), reactor.ErrClosed)
		wantErr(t, l.writeIn(make([]byte, 1<<20)), reactor.ErrClosed)
	})
}

// TestLargeWriteErrorIsReportedOnceAndNotInsideTheCall: it is met while writing
// from the caller's buffers.
func TestLargeWriteErrorIsReportedOnceAndNotInsideTheCall(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.loop.Post(func() { // too late in the iteration for the loop to have noticed
			l.peer.CloseRead()
			must(t, l.stream.Write(pattern(0, 1<<20)))
			l.wantCalls("")
		})
		l.pollUntil(func() bool { return l.saw("write error") })
		wantErr(t, l.writeErr, unix.EPIPE)
		wantErr(t, l.stream.Write([]byte("x")), unix.EPIPE)
		if n := l.stream.Unread(); n < 1<<20 {
			t.Errorf("%d bytes unread", n)
		}
	})
}

// TestLargeWriteIsNotCopied counts: the reader takes everything while it is written.
func TestLargeWriteIsNotCopied(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		large := pattern(0, 64<<10)
		l.loop.Post(func() {
			must(t, l.stream.Write(large))
			if n := l.stream.Chunks(); n > 1 || l.stream.Buffered() >= len(large) {
				t.Errorf("%d bytes in %d buffers", l.stream.Buffered(), n)
			}
		})
		wantBytes(t, l.receive(len(large)), large)
	})
}

func TestWritevAllocatesNothingInSteadyState(t *testing.T) {
	if raceEnabled {
		t.Skip("under -race pools are emptied at random: nothing to count")
	}
	onLinks(t, nil, func(t *testing.T, l *link) {
		head, body := pattern(0, 8), pattern(8, 100)
		var buf [200]byte
		n := testing.AllocsPerRun(1000, func() {
			must(t, l.stream.Writev(head, body))
			l.poll()
			l.peer.Receive(t, buf[:])
		})
		if n != 0 {
			t.Errorf("%v allocations per message", n)
		}
	})
}
