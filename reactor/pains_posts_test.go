package reactor_test

import (
	"testing"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// TestStopFromAPostEndsRunAndKeepsTheOtherPosts: what the stopping function posts
// runs in the next Run.
func TestStopFromAPostEndsRunAndKeepsTheOtherPosts(t *testing.T) {
	loop := newLoop(t)
	var order []string
	note := func(what string) func() { return func() { order = append(order, what) } }
	loop.Post(func() {
		note("stop")()
		loop.Stop()
		loop.Post(note("posted by it"))
	})
	loop.Post(note("behind it"))
	run(t, loop)
	if len(order) != 2 || order[1] != "behind it" {
		t.Errorf("the first Run did %q", order)
	}
	run(t, loop)
	if len(order) != 3 || order[2] != "posted by it" {
		t.Errorf("both Runs did %q", order)
	}
}

// TestMillionSelfPostsDoNotStarveDescriptors: a thousand functions that post
// themselves again keep the loop from ever sleeping, a thousand times each, while
// an echo goes on beside them.
func TestMillionSelfPostsDoNotStarveDescriptors(t *testing.T) {
	const chains = 1000
	rounds := 1000
	if raceEnabled || testing.Short() {
		rounds = 100
	}
	loop := newLoop(t)
	l := newLink(t, loop, fdtest.Transports()[0], func(l *link) reactor.StreamConfig {
		return reactor.StreamConfig{OnData: func(data []byte) { must(t, l.stream.Write(data)) }}
	})
	ran, left := 0, chains
	for range chains {
		again := rounds
		var self func()
		self = func() {
			ran++
			if again--; again == 0 {
				left--
				return
			}
			must(t, loop.Post(self))
		}
		must(t, loop.Post(self))
	}
	echoes := 0
	l.peer.Send(t, []byte("x"))
	for left > 0 {
		pollTimes(t, loop, 1)
		if data, _ := l.peer.Available(t); len(data) > 0 {
			echoes++
			l.peer.Send(t, data)
		}
	}
	if ran != chains*rounds {
		t.Errorf("%d of %d posts ran", ran, chains*rounds)
	}
	if echoes < rounds/2 {
		t.Errorf("%d echoes in at least %d iterations", echoes, rounds)
	}
}
