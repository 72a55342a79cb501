package yield_test

import (
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/evfork/evfork/internal/yield"
)

// TestOthersHaveRun: with one processor whoever was woken has run when ToOthers returns. One yield leaves out every 61st.
func TestOthersHaveRun(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const rounds = 6100
	wake := make(chan bool)
	var ran atomic.Int32
	go func() {
		for range wake {
			ran.Add(1)
		}
	}()
	defer close(wake)
	late := 0
	for round := range int32(rounds) {
		wake <- true // returns as soon as it is taken, or the goroutine is runnable with it
		yield.ToOthers(func() bool { return false })
		if ran.Load() <= round {
			late++
			for ran.Load() <= round {
				runtime.Gosched()
			}
		}
	}
	// Some may be late: the garbage collector and the runtime's monitor have goroutines and reasons of their own.
	if late > rounds/61/4 {
		t.Errorf("%d of %d times a goroutine that had been woken did not run", late, rounds)
	}
}

// TestDoneSparesTheSecondYield: it is asked once, between the two.
func TestDoneSparesTheSecondYield(t *testing.T) {
	for _, done := range []bool{false, true} {
		asked := 0
		yield.ToOthers(func() bool { asked++; return done })
		if asked != 1 {
			t.Errorf("asked %d times, want once", asked)
		}
	}
}
