package poller_test

import (
	"math"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/internal/leaktest"
	"github.com/evfork/evfork/internal/poller"
)

func TestWaitOfZeroDoesNotBlock(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		ends := pipe(t)
		must(t, p.Add(ends.Read, 1, poller.Read))
		expectQuiet(t, p) // or hangs for ever
	})
}

// TestTimeoutIsNeverCutShort allows for single Waits that end early: a signal
// may do that. Rounding down would shorten all of them.
func TestTimeoutIsNeverCutShort(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		for _, timeout := range []time.Duration{1, 999, 1001, 100*time.Microsecond + 1, time.Millisecond - 1, time.Millisecond + 1} {
			early := 0
			for range 20 {
				start := time.Now()
				_, err := p.Wait(timeout)
				must(t, err)
				if time.Since(start) < timeout {
					early++
				}
			}
			if early > 10 {
				t.Errorf("%d of 20 waits for %v ended early", early, timeout)
			}
		}
	})
}

func TestWakeBeforeWaitEndsIt(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		for range 100 {
			must(t, p.Wake())
			_, err := p.Wait(-1) // or hangs for ever
			must(t, err)
		}
	})
}

// TestWakeDuringWaitEndsIt cannot know that the Wait has begun; of so many some have.
func TestWakeDuringWaitEndsIt(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		begin := make(chan int)
		var waker sync.WaitGroup
		waker.Go(func() {
			for turns := range begin {
				for range turns {
					runtime.Gosched()
				}
				if err := p.Wake(); err != nil {
					t.Error(err)
				}
			}
		})
		for i := range 2000 {
			begin <- i % 200
			_, err := p.Wait(-1) // or hangs for ever
			must(t, err)
		}
		close(begin)
		waker.Wait()
	})
}

func TestWakeEndsTheLongestWait(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		var waker sync.WaitGroup
		waker.Go(func() { p.Wake() })
		_, err := p.Wait(math.MaxInt64)
		must(t, err)
		waker.Wait()
	})
}

func TestWakesAreCoalesced(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		fd := hostFD(t, p)
		var wakers sync.WaitGroup
		for range 4 {
			wakers.Go(func() {
				for range 1000 {
					if err := p.Wake(); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wakers.Wait()
		expectQuiet(t, p) // wakes are no events
		if fdtest.Readable(t, fd) {
			t.Error("a wake is left over")
		}
	})
}

func TestWakeDoesNotHideEvents(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		ends := pipe(t)
		must(t, p.Add(ends.Read, 1, poller.Read))
		put(t, ends.Write)
		must(t, p.Wake())
		expect(t, p, event(ends.Read, 1, poller.Read))
	})
}

func TestFDIsReadableWhileAnEventWaits(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		fd := hostFD(t, p)
		ends := pipe(t)
		must(t, p.Add(ends.Read, 1, poller.Read))
		wantReadable(t, fd, false)
		put(t, ends.Write)
		fdtest.Await(t, fd, unix.POLLIN)
		expect(t, p, event(ends.Read, 1, poller.Read))
		wantReadable(t, fd, true) // it still is: levels
		must(t, p.Remove(ends.Read))
		expectQuiet(t, p)
		wantReadable(t, fd, false)
	})
}

func TestFDIsReadableAfterAWakeUntilTheNextWait(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		fd := hostFD(t, p)
		must(t, p.Wake())
		fdtest.Await(t, fd, unix.POLLIN)
		expectQuiet(t, p)
		wantReadable(t, fd, false)
	})
}

// TestFDFollowsChangesWithoutAWait: a host waits for FD, and Wait for the host.
func TestFDFollowsChangesWithoutAWait(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		fd, peer := socket(t)
		must(t, p.Add(fd, 1, poller.Read))
		must(t, p.Modify(fd, 1, poller.Read|poller.Write)) // before FD is asked for
		host := hostFD(t, p)
		fdtest.Await(t, host, unix.POLLIN)
		must(t, p.Modify(fd, 1, poller.Read))
		expectQuiet(t, p)
		wantReadable(t, host, false)
		must(t, p.Modify(fd, 1, poller.Write))
		fdtest.Await(t, host, unix.POLLIN)
		must(t, p.Remove(fd))
		put(t, peer)
		expectQuiet(t, p)
		wantReadable(t, host, false)
	})
}

// TestFDIsReadableWhileAHangUpLasts: that kqueue tells of it only once must not
// show.
func TestFDIsReadableWhileAHangUpLasts(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		host := hostFD(t, p)
		ends := pipe(t)
		must(t, p.Add(ends.Write, 1, poller.HangUp))
		expectQuiet(t, p)
		ends.CloseRead()
		for range 3 {
			fdtest.Await(t, host, unix.POLLIN)
			expect(t, p, event(ends.Write, 1, everything))
		}
		must(t, p.Remove(ends.Write))
		expectQuiet(t, p)
		wantReadable(t, host, false)
		late := pipe(t)
		late.CloseRead()
		must(t, p.Add(late.Write, 1, poller.Write))
		fdtest.Await(t, host, unix.POLLIN)
		expect(t, p, event(late.Write, 1, everything))
	})
}

func TestFDStaysTheSameOverRebuild(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		before := hostFD(t, p)
		must(t, p.Rebuild())
		after, err := p.FD()
		must(t, err)
		if before != after {
			t.Errorf("it was %d and is %d", before, after)
		}
		expectQuiet(t, p)
		ends := pipe(t)
		must(t, p.Add(ends.Read, 1, poller.Read))
		wantReadable(t, after, false)
		put(t, ends.Write)
		fdtest.Await(t, after, unix.POLLIN)
	})
}

func wantReadable(t testing.TB, fd int, want bool) {
	t.Helper()
	if got := fdtest.Readable(t, fd); got != want {
		t.Errorf("FD readable: %v, want %v", got, want)
	}
}

func TestRebuildForgetsRegistrations(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		ends := pipe(t)
		must(t, p.Add(ends.Read, 1, poller.Read))
		put(t, ends.Write)
		must(t, p.Rebuild())
		expectQuiet(t, p)
		must(t, p.Add(ends.Read, 2, poller.Read))
		expect(t, p, event(ends.Read, 2, poller.Read))
	})
}

// TestRebuildForgetsWhatADuplicateHolds is the case that cannot be removed in
// any other way: the descriptor is closed, but what it referred to lives on.
func TestRebuildForgetsWhatADuplicateHolds(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		ends := pipe(t)
		must(t, p.Add(ends.Read, 1, poller.Read))
		dup := fdtest.Dup(t, ends.Read)
		defer unix.Close(dup)
		ends.CloseRead()
		put(t, ends.Write)
		must(t, p.Rebuild())
		expectQuiet(t, p)
	})
}

func TestWakeWorksAfterRebuild(t *testing.T) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		must(t, p.Rebuild())
		expectQuiet(t, p)
		must(t, p.Wake())
		_, err := p.Wait(-1) // or hangs for ever
		must(t, err)
	})
}

// TestDescriptorZeroIsLikeAnyOther runs itself again in a process whose
// descriptor 0 is a pipe: zero values must not stand for "none".
func TestDescriptorZeroIsLikeAnyOther(t *testing.T) {
	const second = "EVFORK_POLLER_TEST_FD0"
	if os.Getenv(second) != "" {
		for _, c := range constructors() {
			p := open(t, c)
			must(t, p.Add(0, 7, poller.Read))
			expect(t, p, event(0, 7, poller.Read))
			must(t, p.Remove(0))
			expectQuiet(t, p)
		}
		return
	}
	leaktest.Check(t)
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	defer w.Close()
	_, err = w.WriteString("x")
	must(t, err)
	cmd := exec.Command(os.Args[0], "-test.run=^TestDescriptorZeroIsLikeAnyOther$")
	cmd.Env = append(os.Environ(), second+"=1")
	cmd.Stdin = r
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
