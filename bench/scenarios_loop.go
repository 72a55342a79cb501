package main

// The scenarios of the loop alone, without children and calls. Their Calls are
// events, timers, posts, milliseconds or objects, as their unit says.

const (
	ringEvents = 120_000

	// timerCount is how many timers there are at once, and hence also how many
	// are started, stopped, re-armed or fired by a sample.
	timerCount = 1_000_000

	wakeUps = 20_000

	idleMilliseconds = 1_000
	idleWatchers     = 1_000
	idleChildren     = 4

	memoryWatchers = 8_000
	memoryTimers   = 200_000
	memoryStreams  = 4_000 // two descriptors each; 20,000 are allowed on many machines
)

const (
	nsPerTimer  = "ns/timer"
	timerAllocs = "allocs/timer"
	postWaits   = "blocking waits/sample"
	postWrites  = "write calls/sample"
)

// A ringScenario is one configuration of the ring: size socketpairs, of which
// active carry a byte at the same time, until writes bytes have been passed on.
type ringScenario struct {
	id                   string
	size, active, writes int
}

var ringScenarios = []ringScenario{
	{"L1-100", 1000, 100, 10_000},
	{"L1-1", 100, 1, 1000},
}

// runs is how many runs make that many events.
func (r ringScenario) runs(events int) int { return max(events/(r.active+r.writes), 1) }

// timerScenarios are what the timers go through; what is the word for it that
// the programs of cloop/ know.
var timerScenarios = []struct{ id, what, title string }{
	{"L2-start", "start", "starting 1,000,000 timers, due at random within a second an hour from now"},
	{"L2-stop", "stop", "stopping 1,000,000 timers, due at random, in the order of their starts"},
	{"L2-reset", "reset", "re-arming one of 1,000,000 timers, chosen and due at random"},
	{"L2-fire", "fire-spread", "firing 1,000,000 timers that have become due at random within a second, CPU time"},
	{"L2-fire-once", "fire-once", "firing 1,000,000 timers started with the same delay, CPU time"},
}

// A postScenario is goroutines, or threads, that post without pause.
type postScenario struct {
	id         string
	goroutines int
	awake      bool // the loop has other work and never blocks
	calls      int
}

var postScenarios = []postScenario{
	{"L3-4", 4, false, 4_000_000},
	{"L3-4-awake", 4, true, 4_000_000},
	{"L3-1", 1, false, 4_000_000},
}

// word is what the programs of cloop/ call it.
func (p postScenario) word() string {
	if p.awake {
		return "busy"
	}
	return "free"
}

func (p postScenario) title() string {
	title := "posts from one goroutine"
	if p.goroutines > 1 {
		title = "posts from 4 goroutines"
	}
	if p.awake {
		title += " to a loop that is kept awake by a descriptor"
	}
	return title
}

func addLoopScenarios(r *Registry) {
	for _, s := range ringScenarios {
		title := "ring of 1,000 socketpairs, 100 active, 10,000 writes"
		if s.active == 1 {
			title = "ring of 100 socketpairs, 1 active, 1,000 writes"
		}
		addLoopScenario(r, s.id, title, "ns/event", nameLibev)
	}
	for _, s := range timerScenarios {
		addLoopScenario(r, s.id, s.title, nsPerTimer, nameLibev)
	}
	for _, s := range postScenarios {
		addLoopScenario(r, s.id, s.title(), "posts/s", "Go channel")
	}
	addLoopScenario(r, "L3-asleep", "posting to a loop that sleeps, one at a time, until the post has run", "µs", "Go channel")
	addLoopScenario(r, "L4", "idle loop with 1,000 watchers and 4 children: context switches", "1/s", nameLibev)
	addLoopScenario(r, "M-watcher", "memory per watcher of a descriptor", "B of heap", nameLibev)
	addLoopScenario(r, "M-timer", "memory per timer", "B of heap", nameLibev)
	addLoopScenario(r, "M-stream", "memory per idle stream on a socketpair", "B of heap", nameLibuv)
}

// addLoopScenario leaves GOMAXPROCS and the placement alone: a loop is one thread.
func addLoopScenario(r *Registry, id, title, unit, reference string) {
	r.AddScenario(Scenario{
		ID: id, Title: title, Unit: unit, HigherIsBetter: unit == "posts/s",
		Reference: reference, FixedProcs: machineProcs, Targets: loopTargets(id),
	})
}

// loopTargets are what is asked of the loop in a scenario.
func loopTargets(id string) []Target {
	const none = 0
	switch id {
	case "L1-100":
		return []Target{{Of: nameEvfork, To: nameLibev, Bound: AtMost, Must: 1.15, Aim: 1}}
	case "L2-start":
		return []Target{
			{Of: nameEvfork, To: nameLibev, Bound: AtMost, Must: 2.5},
			{Of: nameEvfork, To: nameAfterFunc, Bound: AtMost, Must: 1. / 3},
		}
	case "L2-reset":
		return []Target{{Of: nameEvfork, Figure: timerAllocs, Bound: AtMost, Must: noAllocation}}
	case "L2-fire", "L2-fire-once":
		return []Target{{Of: nameEvfork, To: nameLibev, Bound: AtMost, Must: 1}}
	case "L3-4":
		return []Target{{Of: nameEvfork, Bound: AtLeast, Must: 5e6, Aim: 20e6}}
	case "L3-4-awake":
		return []Target{
			{Of: nameEvfork, Bound: AtLeast, Must: 5e6, Aim: 20e6},
			{Of: nameEvfork, Figure: postWrites, Bound: AtMost, Must: none},
			{Of: nameEvfork, Figure: postWaits, Bound: AtMost, Must: none},
		}
	case "L4":
		return []Target{{Of: nameEvfork, Bound: AtMost, Must: none}}
	}
	return nil
}
