package reactor_test

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// What a stream relies on: bytes are written in order, and fewer than were offered only if there is no room for more, or
// 256 kB were written. Where there is no writev the first buffer was all that was written, and the stream waited for the
// poller after each.
func TestWritevWritesWhatThereIsRoomFor(t *testing.T) {
	const most = 256 << 10
	for name, writev := range reactor.Writevs() {
		t.Run(name, func(t *testing.T) {
			for _, c := range []struct {
				sizes []int
				want  int // -1: a part
			}{
				{[]int{10, 0, 3000, 1, 20_000}, 23_011},
				{[]int{0, 1}, 1},
				{[]int{100_000, 100_000, 100_000, 100_000}, most},
				{[]int{most, 1}, most},
				{[]int{most + 1}, most},
			} {
				p := pipe(t)
				fdtest.Widen(t, p.Write)
				checkWritev(t, writev, p, c.sizes, c.want)
			}
			p := pipe(t)
			fdtest.Shrink(t, p.Write)
			checkWritev(t, writev, p, []int{3000, 3000, 300_000, 5}, -1)
			for p.Offer(t, make([]byte, 1)) > 0 {
			}
			if n, err := writev(p.Write, [][]byte{{1}, {2}}); n > 0 || err != unix.EAGAIN {
				t.Errorf("full: wrote %d bytes, %v", n, err)
			}
			p.CloseRead()
			if n, err := writev(p.Write, [][]byte{{1}, {2}}); n > 0 || err != unix.EPIPE {
				t.Errorf("without a reader: wrote %d bytes, %v", n, err)
			}
		})
	}
}

func checkWritev(t *testing.T, writev func(int, [][]byte) (int, error), p *fdtest.End, sizes []int, want int) {
	t.Helper()
	var bufs [][]byte
	var all []byte
	for _, size := range sizes {
		bufs = append(bufs, pattern(len(all), size))
		all = append(all, bufs[len(bufs)-1]...)
	}
	n, err := writev(p.Write, bufs)
	if err != nil || n <= 0 || want >= 0 && n != want || want < 0 && n >= len(all) {
		t.Errorf("%v: wrote %d bytes, %v", sizes, n, err)
	}
	if got, _ := p.Available(t); !bytes.Equal(got, all[:n]) {
		t.Errorf("%v: the bytes are others", sizes)
	}
}
