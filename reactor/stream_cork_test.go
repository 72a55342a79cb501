package reactor_test

import (
	"fmt"
	"testing"

	"github.com/evfork/evfork/reactor"
)

// TestBeginningOfABatchLeavesEarly: of pieces that are not small, more is held back
// before some is written.
func TestBeginningOfABatchLeavesEarly(t *testing.T) {
	small := reactor.DefaultCork(reactor.OneCPU)
	for _, c := range []struct{ cork, piece, heldBack int }{
		{0, 100, small},
		{0, 1<<10 - 1, small},
		{0, 1 << 10, 32 << 10},
		{0, 4 << 10, 32 << 10},
		{0, 20 << 10, 32 << 10},
		{1000, 100, 1000},
		{20_000, 100, 20_000},
		{1000, 1 << 10, 32 << 10},
		{40_000, 1 << 10, 40_000},
		{-1, 100, small},
	} {
		t.Run(fmt.Sprint(c.cork, "/", c.piece), func(t *testing.T) {
			onLinks(t, nil, func(t *testing.T, l *link) {
				l.stream.SetCork(1) // which the next one replaces
				l.stream.SetCork(c.cork)
				must(t, l.loop.Post(func() { writesEarly(t, l, c.piece, c.heldBack) }))
				l.poll()
			})
		})
	}
}

// writesEarly queues pieces until something is written, which must be at the end of what is held back.
func writesEarly(t *testing.T, l *link, piece, heldBack int) {
	t.Helper()
	for queued := piece; ; queued += piece {
		must(t, l.stream.Write(make([]byte, piece)))
		if queued >= heldBack {
			break
		}
		if n := l.stream.Buffered(); n != queued {
			t.Fatalf("%d bytes are held back, want %d", n, queued)
		}
	}
	if n := l.stream.Buffered(); n != 0 {
		t.Errorf("%d bytes are held back, want none of %d", n, heldBack)
	}
}

// With one CPU the other side cannot run before this one waits.
func TestMoreIsHeldBackWithOneCPU(t *testing.T) {
	if one, more := reactor.DefaultCork(true), reactor.DefaultCork(false); one != 32<<10 || more != 8<<10 {
		t.Errorf("%d and %d bytes", one, more)
	}
}

// What is held back is no reason to forget about the water marks.
func TestCorkAboveHighWater(t *testing.T) {
	config := func(*link) reactor.StreamConfig { return reactor.StreamConfig{HighWater: 1000} }
	onLinks(t, config, func(t *testing.T, l *link) {
		l.stream.SetCork(1 << 20)
		must(t, l.loop.Post(func() {
			for range 20 {
				must(t, l.stream.Write(make([]byte, 50)))
			}
			if !l.stream.Congested() {
				t.Errorf("not congested with %d bytes queued", l.stream.Buffered())
			}
		}))
		l.poll()
	})
}
