package reactor_test

import (
	"context"
	"strings"
	"testing"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

func TestCleanupHooksRunLastFirstBeforeStreamsEnd(t *testing.T) {
	loop := newLoop(t)
	var got []string
	note := func(what string) func() { return func() { got = append(got, what) } }
	ours, theirs := fdtest.Pipes(t)
	defer theirs.Close()
	_, err := loop.NewStream(ours.Read, ours.Write, reactor.StreamConfig{OnClose: func(error) { got = append(got, "stream") }})
	must(t, err)
	loop.OnCleanup(note("first"))
	loop.OnCleanup(note("second"))
	pollTimes(t, loop, 2)
	must(t, loop.Close())
	must(t, loop.Close()) // exactly once
	if want := "second first stream"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %s", got, want)
	}
}

func TestCleanupHookRunsOnShutdown(t *testing.T) {
	loop := newLoop(t)
	calls := 0
	loop.OnCleanup(func() { calls++ })
	must(t, loop.Shutdown(context.Background()))
	if calls != 1 {
		t.Errorf("called %d times", calls)
	}
}

func TestStoppedCleanupHookDoesNotRun(t *testing.T) {
	loop := newLoop(t)
	calls := 0
	h := loop.OnCleanup(func() { t.Error("called") })
	h.Stop()
	again := loop.OnCleanup(func() { calls++ })
	again.Stop()
	again.Start()
	victim := loop.OnCleanup(func() { t.Error("called, though stopped by the one before") })
	loop.OnCleanup(func() { victim.Stop() })
	must(t, loop.Close())
	if calls != 1 {
		t.Errorf("called %d times", calls)
	}
}

func TestCleanupHookDoesNotKeepRun(t *testing.T) {
	loop := newLoop(t)
	loop.OnCleanup(func() {})
	run(t, loop)
}

func TestCleanupHookCanStartNothing(t *testing.T) {
	loop := newLoop(t)
	ran := false
	loop.OnCleanup(func() {
		ran = true
		if loop.AfterFunc(0, func() { t.Error("called") }).Active() {
			t.Error("a timer was started")
		}
		if loop.OnCleanup(func() { t.Error("called") }).Active() {
			t.Error("a cleanup hook was added")
		}
	})
	must(t, loop.Close())
	if !ran {
		t.Error("not called")
	}
}

func TestCleanupHooksRunWhenAPanicLeavesRun(t *testing.T) {
	loop := newLoop(t)
	calls := 0
	loop.OnCleanup(func() { calls++ })
	loop.AfterFunc(0, func() { panic("on purpose") })
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic left Run")
			}
		}()
		_ = loop.Run(context.Background())
	}()
	if calls != 1 {
		t.Errorf("called %d times after the panic", calls)
	}
	must(t, loop.Close())
	if calls != 1 {
		t.Errorf("called %d times after Close", calls)
	}
}

func TestPanicOfACleanupHookDoesNotKeepOthersFromRunning(t *testing.T) {
	panics, calls := 0, 0
	loop := newLoopWith(t, reactor.Config{OnPanic: func(p *reactor.Panic) {
		if p.Kind == "cleanup" {
			panics++
		}
	}})
	loop.OnCleanup(func() { calls++ })
	loop.OnCleanup(func() { panic("on purpose") })
	must(t, loop.Close())
	if panics != 1 || calls != 1 {
		t.Errorf("%d panics, %d calls", panics, calls)
	}
}
