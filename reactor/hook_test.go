package reactor_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// TestAnIterationCallsInTheDocumentedOrder is the package documentation's list.
func TestAnIterationCallsInTheDocumentedOrder(t *testing.T) {
	loop := newLoop(t)
	var got []string
	note := func(what string) func() { return func() { got = append(got, what) } }
	loop.OnIdle(note("idle"))
	loop.OnCheck(note("check"))
	loop.OnPrepare(note("prepare"))
	p := readyPipe(t)
	must(t, loop.Post(note("post")))
	watch(t, loop, p.Read, reactor.Read, func(reactor.Ready) { got = append(got, "fd") })
	timer := loop.AfterFunc(0, note("timer"))
	must(t, loop.AfterFunc(time.Hour, note("fed")).Feed())
	pollTimes(t, loop, 1)
	if want := "prepare fed timer fd post check"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %s", got, want)
	}
	if timer.Active() {
		t.Error("the timer is still active")
	}
}

func TestIdleHookRunsWhenNothingHappensAndKeepsTheLoopFromBlocking(t *testing.T) {
	loop := newLoop(t)
	calls := 0
	var hook *reactor.Hook
	hook = loop.OnIdle(func() {
		if calls++; calls == 3 {
			hook.Stop()
		}
	})
	run(t, loop) // ends when the hook, the only watcher, is stopped
	if calls != 3 || loop.Stats().Blocked != 0 {
		t.Errorf("called %d times, blocked %d times", calls, loop.Stats().Blocked)
	}
}

// TestIdleHookIsLockedOutByItsPriorityOrHigher is libev's rule.
func TestIdleHookIsLockedOutByItsPriorityOrHigher(t *testing.T) {
	loop := newLoop(t)
	var got []string
	for name, priority := range map[string]int{"low": -1, "normal": 0, "high": 1} {
		must(t, loop.OnIdle(func() { got = append(got, name) }).SetPriority(priority))
	}
	p := readyPipe(t)
	w := watch(t, loop, p.Read, reactor.Read, func(reactor.Ready) {})
	round := func(want ...string) {
		t.Helper()
		got = nil
		pollTimes(t, loop, 1)
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	round("high") // a descriptor of priority 0 was ready
	must(t, w.SetPriority(1))
	round()
	must(t, w.Stop())
	round("high") // of idle hooks, only the highest
}

// TestPostsAndWhatIsPutOffLockOutIdleHooks: they have no priority that could be set.
func TestPostsAndWhatIsPutOffLockOutIdleHooks(t *testing.T) {
	loop := newLoop(t)
	calls := 0
	hook := loop.OnIdle(func() { calls++ })
	for name, have := range map[string]func(called func()){
		"post": func(called func()) { must(t, loop.Post(called)) },
		"OnClose": func(called func()) {
			s, err := loop.NewStream(fdtest.Dup(t, pipe(t).Read), -1, reactor.StreamConfig{OnClose: func(error) { called() }})
			must(t, err)
			s.Close()
		},
	} {
		for priority, want := range map[int]int{-1: 0, 0: 0, 1: 1} {
			must(t, hook.SetPriority(priority))
			calls = 0
			called := false
			have(func() { called = true })
			pollTimes(t, loop, 1)
			if !called || calls != want {
				t.Errorf("%s: the idle hook of priority %d was called %d times, want %d", name, priority, calls, want)
			}
		}
	}
	hook.Stop()
}

func TestHooksRunByPriorityThenInStartOrder(t *testing.T) {
	loop := newLoop(t)
	var got []string
	for _, h := range []struct {
		name     string
		priority int
	}{{"c", 0}, {"d", 0}, {"e", -2}, {"a", 2}, {"b", 1}} {
		hook := loop.OnPrepare(func() { got = append(got, h.name) })
		must(t, hook.SetPriority(h.priority))
	}
	pollTimes(t, loop, 1)
	if strings.Join(got, "") != "abcde" {
		t.Errorf("got %q", got)
	}
}

func TestHookStoppedByAnotherInTheSameIterationIsNotCalled(t *testing.T) {
	loop := newLoop(t)
	for _, make := range []func(func()) *reactor.Hook{loop.OnPrepare, loop.OnCheck, loop.OnIdle} {
		var second *reactor.Hook
		started := 0
		first := make(func() {
			second.Stop()
			make(func() { started++ }) // waits for the next iteration
		})
		second = make(func() { t.Error("called") })
		pollTimes(t, loop, 1)
		if started != 0 {
			t.Error("a hook was called in the iteration that started it")
		}
		first.Stop()
		verify(t, loop)
	}
}

func TestHookRestartsBehindTheOthers(t *testing.T) {
	loop := newLoop(t)
	var got []string
	first := loop.OnCheck(func() { got = append(got, "first") })
	loop.OnCheck(func() { got = append(got, "second") })
	first.Stop()
	first.Stop()
	first.Start()
	first.Start()
	pollTimes(t, loop, 1)
	if !slices.Equal(got, []string{"second", "first"}) {
		t.Errorf("got %q", got)
	}
}

// TestWhatAPrepareHookWritesLeavesBeforeTheWait: it is flushed by the next step.
func TestWhatAPrepareHookWritesLeavesBeforeTheWait(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		hook := l.loop.OnPrepare(func() { must(t, l.stream.Write([]byte("hello"))) })
		seen := false
		watch(t, l.loop, l.peer.Read, reactor.Read, func(reactor.Ready) { seen = true })
		pollTimes(t, l.loop, 1)
		if !seen {
			t.Error("the wait did not see what the hook had written")
		}
		hook.Stop()
	})
}

func TestUnreferencedHookDoesNotKeepRunGoing(t *testing.T) {
	loop := newLoop(t)
	for _, make := range []func(func()) *reactor.Hook{loop.OnPrepare, loop.OnCheck, loop.OnIdle} {
		make(func() {}).Unref()
	}
	run(t, loop)
}

// TestHostIsWokenForAnIdleHook: the loop's descriptor becomes readable.
func TestHostIsWokenForAnIdleHook(t *testing.T) {
	inner := newLoop(t)
	fd := hostedFD(t, inner)
	outer := newLoop(t)
	watch(t, outer, fd, reactor.Read, func(reactor.Ready) { must(t, inner.Poll(0)) })
	pollTimes(t, outer, 3)
	calls := 0
	inner.OnIdle(func() { calls++ })
	if at, ok := inner.NextDeadline(); !ok || time.Until(at) > 0 {
		t.Errorf("next deadline %v, %v; want now", at, ok)
	}
	pollUntil(t, outer, func() bool { return calls >= 3 })
}

func TestHooksOfAClosedLoopNeverStart(t *testing.T) {
	loop := newLoop(t)
	hook := loop.OnIdle(func() { t.Error("called") })
	must(t, loop.Close())
	if hook.Active() {
		t.Error("still active")
	}
	hook.Start()
	if hook.Active() || loop.OnCheck(func() {}).Active() {
		t.Error("started on a closed loop")
	}
}
