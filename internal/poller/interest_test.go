package poller_test

import (
	"errors"
	"math"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
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

// TestWriteTakenBackLeavesTheHangUp is what a stream does that has written all.
func TestWriteTakenBackLeavesTheHangUp(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		ends := pipe(t)
		must(t, p.Add(ends.Write, 1, poller.Write|poller.HangUp))
		expect(t, p, event(ends.Write, 1, poller.Write))
		must(t, p.Modify(ends.Write, 1, poller.HangUp))
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

// TestDataBeforeAHangUpIsReadable: the end must not hide what came before it.
func TestDataBeforeAHangUpIsReadable(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		ends := pipe(t)
		put(t, ends.Write)
		ends.CloseWrite()
		must(t, p.Add(ends.Read, 1, poller.Read))
		for range 2 {
			expect(t, p, event(ends.Read, 1, everything))
		}
		if data, eof := ends.Available(t); string(data) != "x" || !eof {
			t.Errorf("read %q, EOF %v", data, eof)
		}
	})
}

func TestHangUpIsReportedAgainWhileItLasts(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		ends := pipe(t)
		must(t, p.Add(ends.Write, 1, poller.HangUp))
		expectQuiet(t, p)
		ends.CloseRead()
		for range 3 {
			expect(t, p, event(ends.Write, 1, everything))
		}
		must(t, p.Modify(ends.Write, 1, poller.Write|poller.HangUp))
		expect(t, p, event(ends.Write, 1, everything))
		must(t, p.Remove(ends.Write))
		expectQuiet(t, p)
	})
}

// TestPipeWithoutAReaderIsAHangUpFromTheStart: most kqueues refuse a write filter
// for it.
func TestPipeWithoutAReaderIsAHangUpFromTheStart(t *testing.T) {
	for _, interest := range []poller.Interest{poller.Write, poller.HangUp, poller.Write | poller.HangUp} {
		onEach(t, func(t *testing.T, p poller.Poller) {
			ends := pipe(t)
			ends.CloseRead()
			must(t, p.Add(ends.Write, 1, interest))
			for range 2 {
				expect(t, p, event(ends.Write, 1, everything))
			}
			must(t, p.Remove(ends.Write))
			expectQuiet(t, p)
		})
	}
}

// TestWriteAskedForAfterTheReaderLeftIsAHangUp is that refusal amid a change.
func TestWriteAskedForAfterTheReaderLeftIsAHangUp(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		ends := pipe(t)
		must(t, p.Add(ends.Write, 1, poller.HangUp))
		expectQuiet(t, p)
		must(t, p.Modify(ends.Write, 1, poller.Write))
		ends.CloseRead()
		expect(t, p, event(ends.Write, 1, everything))
	})
}

func TestFullPipeIsNotWritableUntilItIsRead(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		ends := pipe(t)
		must(t, p.Add(ends.Write, 1, poller.Write|poller.HangUp))
		expect(t, p, event(ends.Write, 1, poller.Write))
		for ends.Offer(t, make([]byte, 64<<10)) > 0 {
		}
		expectQuiet(t, p)
		ends.Available(t)
		expect(t, p, event(ends.Write, 1, poller.Write))
	})
}

// TestFullPipeWhoseReaderLeavesHasHungUp asks for Write alone: on some systems only
// the read filter of the write end tells.
func TestFullPipeWhoseReaderLeavesHasHungUp(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		ends := pipe(t)
		for ends.Offer(t, make([]byte, 64<<10)) > 0 {
		}
		must(t, p.Add(ends.Write, 1, poller.Write))
		expectQuiet(t, p)
		ends.CloseRead()
		for range 2 {
			expect(t, p, event(ends.Write, 1, everything))
		}
	})
}

// TestReadAskedOfAWriteEndIsToldThatTheReaderLeft: there is nothing else to be told,
// and on some systems only the write filter tells.
func TestReadAskedOfAWriteEndIsToldThatTheReaderLeft(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		ends := pipe(t)
		must(t, p.Add(ends.Write, 1, poller.Read))
		expectQuiet(t, p)
		ends.CloseRead()
		for range 2 {
			expect(t, p, event(ends.Write, 1, everything))
		}
	})
}

// TestHalfClosedSocketHasNotHungUp: it can be written to. Ending either direction
// is an EV_EOF for kqueue, as losing the peer is.
func TestHalfClosedSocketHasNotHungUp(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		fd, peer := socket(t)
		must(t, p.Add(fd, 1, poller.Read|poller.HangUp))
		must(t, unix.Shutdown(peer, unix.SHUT_WR))
		expect(t, p, event(fd, 1, poller.Read))
		must(t, p.Modify(fd, 1, poller.Write|poller.HangUp))
		expect(t, p, event(fd, 1, poller.Write))
		must(t, p.Modify(fd, 1, poller.HangUp))
		expectQuiet(t, p)
	})
}

func TestSocketThatShutDownItsWritingHasNotHungUp(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		fd, peer := socket(t)
		must(t, unix.Shutdown(fd, unix.SHUT_WR))
		must(t, p.Add(fd, 1, poller.Read|poller.HangUp))
		expectQuiet(t, p)
		put(t, peer)
		expect(t, p, event(fd, 1, poller.Read))
		must(t, p.Modify(fd, 1, poller.Write|poller.HangUp))
		expect(t, p, event(fd, 1, poller.Write))
	})
}

func TestSocketThatLostItsPeerHasHungUp(t *testing.T) {
	for _, interest := range []poller.Interest{poller.Read, poller.Write, poller.HangUp, everything} {
		onEach(t, func(t *testing.T, p poller.Poller) {
			if interest == poller.HangUp {
				needHangUpAlone(t, p)
			}
			fd, peer := fdtest.Socketpair(t)
			defer unix.Close(fd)
			must(t, p.Add(fd, 1, interest))
			put(t, peer)
			must(t, unix.Close(peer))
			for range 2 {
				expect(t, p, event(fd, 1, everything))
			}
			must(t, p.Remove(fd))
			expectQuiet(t, p)
		})
	}
}

func TestBothConditionsOfADescriptorAreOneEvent(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		fd, peer := socket(t)
		put(t, peer)
		must(t, p.Add(fd, 1, poller.Read|poller.Write))
		for range 3 {
			expect(t, p, event(fd, 1, poller.Read|poller.Write))
		}
	})
}

func TestRegisteringTwiceIsRefused(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		ends := pipe(t)
		must(t, p.Add(ends.Read, 1, poller.Read))
		if err := p.Add(ends.Read, 2, poller.Read); !errors.Is(err, unix.EEXIST) {
			t.Errorf("got %v, want EEXIST", err)
		}
		put(t, ends.Write)
		expect(t, p, event(ends.Read, 1, poller.Read))
	})
}

func TestChangingWhatIsNotRegisteredIsRefused(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		ends := pipe(t)
		if err := p.Modify(ends.Read, 1, poller.Read); !errors.Is(err, unix.ENOENT) {
			t.Errorf("Modify: got %v, want ENOENT", err)
		}
		if err := p.Remove(ends.Read); err != nil && !errors.Is(err, unix.ENOENT) {
			t.Errorf("Remove: got %v, want ENOENT or nothing", err)
		}
		put(t, ends.Write)
		expectQuiet(t, p)
	})
}

// TestNumberUsedAgainAtOnceIsANewRegistration: what was put off for the old one
// must not hit the new one.
func TestNumberUsedAgainAtOnceIsANewRegistration(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		ends := pipe(t)
		put(t, ends.Write)
		fd, peer := fdtest.Socketpair(t)
		defer unix.Close(peer)
		must(t, p.Add(fd, 1, poller.Write|poller.HangUp))
		expect(t, p, event(fd, 1, poller.Write))
		must(t, p.Remove(fd))
		must(t, unix.Close(fd))
		again, err := unix.FcntlInt(uintptr(ends.Read), unix.F_DUPFD_CLOEXEC, fd)
		must(t, err)
		defer unix.Close(again)
		if again != fd {
			t.Fatalf("the number %d is not free: got %d", fd, again)
		}
		must(t, p.Add(fd, 2, poller.Read))
		for range 2 {
			expect(t, p, event(fd, 2, poller.Read))
		}
	})
}

func TestInterestThatIsTakenBackBeforeTheWaitIsSilent(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		fd, peer := socket(t)
		must(t, p.Add(fd, 1, poller.Read))
		expectQuiet(t, p)
		must(t, p.Modify(fd, 1, poller.Read|poller.Write))
		must(t, p.Modify(fd, 1, poller.Read))
		expectQuiet(t, p)
		put(t, peer)
		must(t, p.Remove(fd))
		must(t, p.Add(fd, 2, poller.Write))
		expect(t, p, event(fd, 2, poller.Write))
	})
}

// TestChangeThatFailsHidesNoEvent: kqueue reports the errors of changes instead of
// events.
func TestChangeThatFailsHidesNoEvent(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		ends, gone := pipe(t), pipe(t)
		must(t, p.Add(ends.Read, 1, poller.Read))
		must(t, p.Add(gone.Read, 1, poller.Read))
		expectQuiet(t, p)
		put(t, ends.Write)
		number := gone.Read
		gone.CloseRead()
		_ = p.Remove(number) // too late, which some notice
		events, err := p.Wait(0)
		must(t, err)
		if len(events) != 1 || events[0] != event(ends.Read, 1, poller.Read) {
			t.Errorf("got %v", events)
		}
	})
}

func TestRemovalLeavesTheOthersTheirGenerations(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		var all [4]*fdtest.End
		for i := range all {
			all[i] = pipe(t)
			must(t, p.Add(all[i].Read, uint32(i), poller.Read))
		}
		must(t, p.Remove(all[0].Read))
		must(t, p.Remove(all[2].Read))
		for _, i := range []int{1, 3} {
			put(t, all[i].Write)
			expect(t, p, event(all[i].Read, uint32(i), poller.Read))
			must(t, p.Remove(all[i].Read))
		}
		expectQuiet(t, p)
	})
}

func TestDescriptorClosedWithoutRemoveDoesNotSpin(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		ends := pipe(t)
		put(t, ends.Write)
		must(t, p.Add(ends.Read, 1, poller.Read))
		expect(t, p, event(ends.Read, 1, poller.Read))
		ends.CloseRead()
		seen := 0
		for range 10 {
			events, err := p.Wait(0)
			must(t, err)
			for _, ev := range events {
				seen++
				if ev.Gen == 1 {
					t.Errorf("%v looks like the registration of an open descriptor", ev)
				}
			}
		}
		if seen > 1 {
			t.Errorf("reported %d times", seen)
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

// TestEdgeReportsEachThingThatComes: rule 14, which only epoll makes use of.
func TestEdgeReportsEachThingThatComes(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		const interest = poller.Read | poller.HangUp | poller.Edge
		ends := pipe(t)
		put(t, ends.Write)
		must(t, p.Add(ends.Read, 1, interest))
		reported := func(gen uint32, ready poller.Interest) {
			t.Helper()
			expect(t, p, event(ends.Read, gen, ready))
			if p.Name() == "epoll" {
				expectQuiet(t, p)
			}
		}
		reported(1, poller.Read)
		put(t, ends.Write)
		reported(1, poller.Read)
		must(t, p.Modify(ends.Read, 2, interest))
		reported(2, poller.Read)
		must(t, p.Remove(ends.Read))
		must(t, p.Add(ends.Read, 3, interest))
		reported(3, poller.Read)
		ends.CloseWrite()
		reported(3, poller.Read|poller.Write|poller.HangUp)
	})
}

// Look says what a poller would report.
func TestLookAgreesWithThePollers(t *testing.T) {
	idle, ready, half, gone, lost := pipe(t), pipe(t), pipe(t), pipe(t), pipe(t)
	put(t, ready.Write)
	put(t, half.Write)
	half.CloseWrite()
	gone.CloseWrite()
	lost.CloseRead()
	one, other := socket(t)
	put(t, other)
	onEach(t, func(t *testing.T, p poller.Poller) {
		for i, asked := range []struct {
			fd       int
			interest poller.Interest
		}{
			{idle.Read, poller.Read},
			{idle.Write, poller.Write},
			{ready.Read, poller.Read},
			{half.Read, poller.Read},
			{gone.Read, poller.Read},
			{lost.Write, poller.Write},
			{one, poller.Read | poller.Write},
			{other, poller.Read | poller.Write},
			{other, poller.Read},
		} {
			must(t, p.Add(asked.fd, 1, asked.interest))
			events, err := p.Wait(0)
			must(t, err)
			var want poller.Interest
			if len(events) > 0 {
				want = events[0].Ready & asked.interest
			}
			if got := poller.Look(asked.fd, asked.interest); got != want {
				t.Errorf("case %d: Look says %b, the poller %b", i, got, want)
			}
			must(t, p.Remove(asked.fd))
		}
	})
	if got := poller.Look(1<<20, everything); got != 0 {
		t.Errorf("of a descriptor that is not open it says %b", got)
	}
}
