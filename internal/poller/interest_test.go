package poller_test

import (
	"errors"
	"math"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/poller"
)

func TestReadinessIsReportedAgainWhileItLasts(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		ends := pipe(t)
		must(t, p.Add(ends.Read, 1, poller.Read))
		put(t, ends.Write)
		for range 3 {
			expect(t, p, event(ends.Read, 1, poller.Read))
		}
		var buf [1]byte
		_, err := unix.Read(ends.Read, buf[:])
		must(t, err)
		expectQuiet(t, p)
	})
}

func TestEventsCarryTheirRegistrationsGeneration(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		ends := pipe(t)
		put(t, ends.Write)
		for _, gen := range []uint32{1, 1 << 31, math.MaxUint32} {
			must(t, p.Add(ends.Read, gen, poller.Read))
			expect(t, p, event(ends.Read, gen, poller.Read))
			must(t, p.Remove(ends.Read))
		}
	})
}

func TestModifyReplacesInterestAndGeneration(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		fd, peer := socket(t)
		put(t, peer)
		must(t, p.Add(fd, 1, poller.Read))
		must(t, p.Modify(fd, 2, poller.Write))
		expect(t, p, event(fd, 2, poller.Write))
		must(t, p.Modify(fd, 3, poller.Read|poller.Write))
		expect(t, p, event(fd, 3, poller.Read|poller.Write))
	})
}

func TestConditionsNotAskedForAreSilent(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		fd, _ := socket(t) // writable, not readable
		must(t, p.Add(fd, 1, poller.Read))
		expectQuiet(t, p)
	})
}

func TestHangUpAloneIgnoresEverythingElse(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		fd, peer := socket(t)
		put(t, peer) // readable as well as writable
		must(t, p.Add(fd, 1, poller.HangUp))
		expectQuiet(t, p)
	})
}

func TestHangUpAloneTellsThatAPipesReaderIsGone(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		ends := pipe(t)
		must(t, p.Add(ends.Write, 1, poller.HangUp))
		expectQuiet(t, p)
		ends.CloseRead()
		expect(t, p, event(ends.Write, 1, everything))
	})
}

func TestHangUpIsReportedAsEverything(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		ends := pipe(t)
		must(t, p.Add(ends.Read, 1, poller.Read))
		ends.CloseWrite()
		expect(t, p, event(ends.Read, 1, everything))
	})
}

func TestRemovedDescriptorIsSilentEvenAfterAHangUp(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		ends := pipe(t)
		must(t, p.Add(ends.Read, 1, poller.Read))
		must(t, p.Remove(ends.Read))
		put(t, ends.Write)
		ends.CloseWrite()
		expectQuiet(t, p)
	})
}

func TestClosedDescriptorIsRefused(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		ends := pipe(t)
		closed := ends.Read
		ends.CloseRead()
		if err := p.Add(closed, 1, poller.Read); !errors.Is(err, unix.EBADF) {
			t.Errorf("got %v, want EBADF", err)
		}
	})
}

func TestFilesThatNeverBlockAreRefused(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		for _, name := range []string{os.Args[0], "."} {
			f, err := os.Open(name)
			must(t, err)
			if err := p.Add(int(f.Fd()), 1, poller.Read); !errors.Is(err, unix.EPERM) {
				t.Errorf("%s: got %v, want EPERM", name, err)
			}
			expectQuiet(t, p)
			f.Close()
		}
	})
}

// TestManyReadyDescriptorsFitInOneWait has more of them than any array begins with.
func TestManyReadyDescriptorsFitInOneWait(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		const count = 200
		for range count {
			ends := pipe(t)
			must(t, p.Add(ends.Read, 1, poller.Read))
			put(t, ends.Write)
		}
		most := 0
		for range 10 {
			events, err := p.Wait(0)
			must(t, err)
			most = max(most, len(events))
		}
		if most != count {
			t.Errorf("at most %d of %d ready descriptors were reported together", most, count)
		}
	})
}

func TestMoreDescriptorsThanFitAreReportedInTurn(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		seen := make(map[int32]bool)
		const count = 100
		for range count {
			ends := pipe(t)
			must(t, p.Add(ends.Read, 1, poller.Read))
			put(t, ends.Write)
		}
		for range count {
			events, err := p.Wait(0)
			must(t, err)
			for _, ev := range events {
				seen[ev.FD] = true
			}
		}
		if len(seen) != count {
			t.Errorf("%d of %d ready descriptors were reported", len(seen), count)
		}
	})
}
