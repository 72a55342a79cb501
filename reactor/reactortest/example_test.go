package reactortest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/reactortest"
)

// world makes what reactortest.New makes, for programs that are not tests.
func world() (*reactor.Loop, *reactortest.Clock, *reactortest.Poller) {
	clock := reactortest.NewClock()
	poller := reactortest.NewPoller(clock)
	loop, err := reactor.New(reactor.Config{Clock: clock, Poller: poller})
	if err != nil {
		log.Fatal(err)
	}
	return loop, clock, poller
}

// A timeout of an hour, tested without waiting for it.
func Example_timeout() {
	loop, clock, poller := world()
	defer loop.Close()

	const conn = 7 // a number; nothing is open
	var idle *reactor.Timer
	reader, err := loop.WatchFD(conn, reactor.Read, func(reactor.Ready) {
		fmt.Println(clock.Monotonic(), "data")
		idle.Again()
	})
	if err != nil {
		log.Fatal(err)
	}
	idle = loop.Every(time.Hour, time.Hour, func() {
		fmt.Println(clock.Monotonic(), "idle for an hour")
		idle.Stop()
		reader.Stop()
	})

	for _, at := range []time.Duration{20 * time.Minute, 79 * time.Minute} {
		clock.After(at, func() { poller.Pulse(conn, reactor.Read) })
	}
	if err := loop.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// 20m0s data
	// 1h19m0s data
	// 2h19m0s idle for an hour
}

// Retries with growing pauses, against a kernel that is out of memory for a while.
func Example_backoff() {
	loop, clock, poller := world()
	defer loop.Close()

	for range 3 {
		poller.FailNext(reactortest.Add, unix.ENOMEM)
	}
	pause := time.Second
	var try func()
	try = func() {
		watcher, err := loop.WatchFD(7, reactor.Read, func(reactor.Ready) {})
		if errors.Is(err, unix.ENOMEM) {
			fmt.Println(clock.Monotonic(), "failed, next in", pause)
			loop.AfterFunc(pause, try)
			pause *= 2
			return
		}
		fmt.Println(clock.Monotonic(), "watching")
		watcher.Stop()
	}
	loop.AfterFunc(0, try)
	if err := loop.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// 0s failed, next in 1s
	// 1s failed, next in 2s
	// 3s failed, next in 4s
	// 7s watching
}

// A connection that is driven by readiness: first it waits to be writable (it is
// connected then), then to be readable, and a hang-up ends it in every state.
func Example_stateMachine() {
	loop, clock, poller := world()
	defer loop.Close()

	const conn = 7
	state := "connecting"
	var w *reactor.FDWatcher
	w, err := loop.WatchFD(conn, reactor.Write, func(ready reactor.Ready) {
		before := state
		switch {
		case ready&reactor.HangUp != 0:
			state = "closed"
			w.Stop()
		case state == "connecting":
			state = "connected"
			w.SetInterest(reactor.Read | reactor.HangUp)
		case state == "connected":
			state = "answered"
		}
		fmt.Printf("%v %s: %s → %s, asks for %q\n", clock.Monotonic(), reactor.ReadyString(ready),
			before, state, reactor.ReadyString(poller.Interest(conn)))
	})
	if err != nil {
		log.Fatal(err)
	}

	clock.After(1*time.Second, func() { poller.SetReady(conn, reactor.Write) }) // from now on
	clock.After(2*time.Second, func() { poller.Pulse(conn, reactor.Read) })
	clock.After(3*time.Second, func() { poller.SetReady(conn, reactor.HangUp) })
	if err := loop.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// 1s write: connecting → connected, asks for "read|hangup"
	// 2s read: connected → answered, asks for "read|hangup"
	// 3s read|hangup: answered → closed, asks for ""
}

// The time of day jumps; timers and Loop.Now do not.
func ExampleClock_SetWall() {
	loop, clock, _ := world()
	defer loop.Close()

	show := func(what string) {
		fmt.Println(what, clock.Wall().Format(time.TimeOnly), loop.Now().Format(time.TimeOnly))
	}
	loop.AfterFunc(time.Hour, func() { show("an hour later:") })
	clock.After(10*time.Minute, func() {
		clock.SetWall(clock.Wall().Add(-30 * time.Minute))
	})
	show("start:")
	if err := loop.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// start: 00:00:00 00:00:00
	// an hour later: 00:30:00 01:00:00
}

// What would hang a test is an error that says what the loop was waiting for.
func Example_deadlock() {
	loop, _, _ := world()
	defer loop.Close()

	if _, err := loop.WatchFD(7, reactor.Read, func(reactor.Ready) {}); err != nil {
		log.Fatal(err)
	}
	err := loop.Run(context.Background())
	fmt.Println(errors.Is(err, reactortest.ErrDeadlock))
	fmt.Println(err)
	// Output:
	// true
	// reactor: wait: reactortest: nothing can happen any more; watched: fd 7 for read
}
