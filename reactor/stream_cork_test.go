package reactor_test

import (
	"fmt"
	"testing"
)

// TestBeginningOfABatchLeavesEarly: of pieces that are not small, more is held back
// before some is written.
func TestBeginningOfABatchLeavesEarly(t *testing.T) {
	for _, c := range []struct{ piece, heldBack int }{
		{100, 8 << 10},
		{1<<10 - 1, 8 << 10},
		{1 << 10, 32 << 10},
		{4 << 10, 32 << 10},
		{20 << 10, 32 << 10},
	} {
		t.Run(fmt.Sprint(c.piece), func(t *testing.T) {
			onLinks(t, nil, func(t *testing.T, l *link) {
				must(t, l.loop.Post(func() {
					for queued := c.piece; ; queued += c.piece {
						must(t, l.stream.Write(make([]byte, c.piece)))
						if queued >= c.heldBack {
							break
						}
						if n := l.stream.Buffered(); n != queued {
							t.Fatalf("%d bytes are held back, want %d", n, queued)
						}
					}
					if n := l.stream.Buffered(); n != 0 {
						t.Errorf("%d bytes are held back, want none of %d", n, c.heldBack)
					}
				}))
				l.poll()
			})
		})
	}
}
