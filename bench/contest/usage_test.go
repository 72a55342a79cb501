package main

import (
	"testing"
	"time"
)

func TestDemandSinceAnEarlierOne(t *testing.T) {
	const window = 100 * time.Millisecond
	for name, test := range map[string]struct {
		then, now threadDemand
		want      time.Duration
	}{
		"sleeps":                     {threadDemand{so: 5}, threadDemand{so: 7}, 2},
		"has woken up":               {threadDemand{so: 5}, threadDemand{so: 7, runnable: true}, 2},
		"waits for its turn":         {threadDemand{so: 5, runnable: true}, threadDemand{so: 7, runnable: true}, window},
		"gets its turn after longer": {threadDemand{so: 5, runnable: true}, threadDemand{so: 5 + 3*window, runnable: true}, 3 * window},
	} {
		// A thread that began later counts with all that it has, one that ended with nothing.
		d := demand{"thread": test.now, "new": {so: 10}}.since(demand{"thread": test.then, "gone": {so: time.Hour}}, window)
		if d != test.want+10 {
			t.Errorf("a thread that %s: %v", name, d)
		}
	}
}
