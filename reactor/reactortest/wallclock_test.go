package reactortest_test

import (
	"testing"
	"time"
)

// noticed is how long a loop may take to see that the clock was set.
const noticed = 30 * time.Second

// TestSetWallMovesWhatIsSetByTheWallClock, though not a timer: the loop sleeps until
// noon and finds that noon has come sooner, and later that it has not come yet.
func TestSetWallMovesWhatIsSetByTheWallClock(t *testing.T) {
	sim := newSim(t)
	noon := sim.Clock.Wall().Add(12 * time.Hour)
	for _, c := range []struct{ at, set, want time.Duration }{
		{0, 0, 70 * time.Second},
		{time.Hour, -time.Hour, 2*time.Hour + 70*time.Second},
	} {
		start := sim.Clock.Monotonic()
		fired := time.Duration(-1)
		sim.Loop.At(noon.Add(c.at), func() { fired = sim.Clock.Monotonic() - start })
		sim.Clock.After(70*time.Second, func() { sim.Clock.SetWall(noon.Add(c.set)) })
		sim.Run()
		if fired < c.want || fired > c.want+noticed {
			t.Errorf("fired after %v, want %v", fired, c.want)
		}
		sim.Clock.SetWall(noon)
	}
}
