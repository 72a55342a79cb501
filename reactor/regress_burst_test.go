package reactor_test

import (
	"testing"
	"time"

	"github.com/evfork/evfork/reactor"
)

// TestLoopHoldsNothingAfterABurst: the arrays for posts, timers and fed watchers
// used to stay as large as they had ever been.
func TestLoopHoldsNothingAfterABurst(t *testing.T) {
	const count = 100_000
	bursts := map[string]func(loop *reactor.Loop){
		"posts": func(loop *reactor.Loop) {
			for range count {
				must(t, loop.Post(func() {}))
			}
		},
		"timers": func(loop *reactor.Loop) {
			for range count {
				loop.AfterFunc(0, func() {})
			}
		},
		"stopped timers": func(loop *reactor.Loop) {
			timers := make([]*reactor.Timer, count)
			for i := range timers {
				timers[i] = loop.AfterFunc(time.Hour, func() {})
			}
			for _, timer := range timers {
				timer.Stop()
			}
		},
		"fed watchers": func(loop *reactor.Loop) {
			for range count {
				must(t, loop.AfterFunc(time.Hour, func() {}).Feed())
			}
		},
	}
	for name, burst := range bursts {
		t.Run(name, func(t *testing.T) {
			loop := newLoop(t)
			pollTimes(t, loop, 3)
			before := heapInUse()
			burst(loop)
			for loop.Stats().Timing > 0 {
				pollTimes(t, loop, 1)
			}
			pollTimes(t, loop, 2+count/1000) // all posts, too
			after := heapInUse()
			if at, left := loop.NextDeadline(); left {
				t.Fatalf("something is left for %v", at)
			}
			// What serves a thousand posts or timers at once may be kept.
			if grown := int64(after) - int64(before); grown > 512<<10 {
				t.Errorf("%d kB are held for nothing", grown>>10)
			}
		})
	}
}
