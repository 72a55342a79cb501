package reactor_test

import (
	"context"
	"fmt"
	"time"

	"github.com/evfork/evfork/reactor"
)

// The hooks of one iteration, around a timer. They are unreferenced, so that the
// loop ends with the timer.
func ExampleLoop_OnPrepare() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		panic(err)
	}
	defer loop.Close()
	loop.OnPrepare(func() { fmt.Println("prepare: the last chance before the wait") }).Unref()
	loop.OnCheck(func() { fmt.Println("check: all that happened has been called") }).Unref()
	loop.AfterFunc(0, func() { fmt.Println("timer") })
	loop.Run(context.Background())
	// Output:
	// prepare: the last chance before the wait
	// timer
	// check: all that happened has been called
}

// An idle hook does work in slices while nothing else happens.
func ExampleLoop_OnIdle() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		panic(err)
	}
	defer loop.Close()
	work := []string{"one", "two", "three"}
	var idle *reactor.Hook
	idle = loop.OnIdle(func() {
		fmt.Println("idle:", work[0])
		if work = work[1:]; len(work) == 0 {
			idle.Stop()
		}
	})
	loop.Post(func() { fmt.Println("a post comes first") })
	loop.Run(context.Background())
	// Output:
	// a post comes first
	// idle: one
	// idle: two
	// idle: three
}

// Priorities order the callbacks of one iteration.
func ExampleTimer_SetPriority() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		panic(err)
	}
	defer loop.Close()
	loop.AfterFunc(0, func() { fmt.Println("normal") })
	loop.AfterFunc(0, func() { fmt.Println("urgent") }).SetPriority(reactor.MaxPriority)
	loop.Run(context.Background())
	// Output:
	// urgent
	// normal
}

// A timeout that activity puts off: Again starts the period anew.
func ExampleTimer_Again() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		panic(err)
	}
	defer loop.Close()
	const quiet = 20 * time.Millisecond
	var timeout, ticks *reactor.Timer
	activity := 0
	ticks = loop.Every(0, time.Millisecond, func() {
		timeout.Again()
		if activity++; activity == 3 {
			fmt.Println("the last activity")
			ticks.Stop()
		}
	})
	// Started second: however late the loop is, a tick is due before the timeout is.
	timeout = loop.Every(quiet, quiet, func() {
		fmt.Println("nothing for", quiet)
		timeout.Stop()
	})
	loop.Run(context.Background())
	// Output:
	// the last activity
	// nothing for 20ms
}

// Feed makes a watcher believe that its time has come: for tests.
func ExampleTimer_Feed() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		panic(err)
	}
	defer loop.Close()
	yearly := loop.AfterFunc(365*24*time.Hour, func() { fmt.Println("a year has passed, or so it seems") })
	yearly.Feed()
	loop.Run(context.Background())
	// Output:
	// a year has passed, or so it seems
}

// OnPanic keeps a loop that serves many from ending with one of them.
func ExampleConfig_onPanic() {
	loop, err := reactor.New(reactor.Config{
		OnPanic: func(p *reactor.Panic) { fmt.Println(p) },
	})
	if err != nil {
		panic(err)
	}
	defer loop.Close()
	loop.AfterFunc(0, func() { panic("bad luck") })
	loop.AfterFunc(0, func() { fmt.Println("the loop goes on") })
	loop.Run(context.Background())
	// Output:
	// reactor: panic in a callback of timer: bad luck
	// the loop goes on
}

// A check hook does something once for all that an iteration has brought.
func ExampleLoop_OnCheck() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		panic(err)
	}
	defer loop.Close()
	changes := 0
	check := loop.OnCheck(func() {
		if changes > 0 {
			fmt.Println("saving", changes, "changes")
			changes = 0
		}
	})
	check.Unref()
	for range 3 {
		loop.AfterFunc(0, func() { changes++ })
	}
	loop.Run(context.Background())
	// Output: saving 3 changes
}
