package poller_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/poller"
)

// These are epoll's own; everybody's are in the suite.

func TestEpollKeepsItsSetWhenRebuildFails(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		if p.Name() != "epoll" {
			t.Skip("about epoll's own Rebuild, not that of ", p.Name())
		}
		_, err := p.FD()
		must(t, err)
		ends := pipe(t)
		must(t, p.Add(ends.Read, 1, poller.Read))
		restore := poller.LoseOuter(p)
		err = p.Rebuild()
		restore()
		if !errors.Is(err, unix.EBADF) {
			t.Fatalf("got %v, want EBADF", err)
		}
		put(t, ends.Write)
		expect(t, p, event(ends.Read, 1, poller.Read))
	})
}

func TestMillisecondsAreRoundedUp(t *testing.T) {
	for _, c := range []struct {
		timeout time.Duration
		want    int
	}{
		{-1, -1},
		{math.MinInt64, -1},
		{0, 0},
		{1, 1},
		{time.Millisecond, 1},
		{time.Millisecond + 1, 2},
		{math.MaxInt32 * time.Millisecond, math.MaxInt32},
		{math.MaxInt64, math.MaxInt32},
	} {
		if got := poller.Millis(c.timeout); got != c.want {
			t.Errorf("%v: got %d, want %d", c.timeout, got, c.want)
		}
	}
}
