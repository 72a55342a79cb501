// Hosted runs loops where something else already waits. First a hundred of them in
// Go's netpoller: a token goes round through all of them, and yet there is no thread
// for each, as there would be with Run. Then one loop inside another, on one
// goroutine.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"runtime"
	"runtime/pprof"
	"sync"
	"time"

	"github.com/evfork/evfork/reactor"
)

func main() {
	if err := errors.Join(parked(100, 5), nested()); err != nil {
		log.Fatal(err)
	}
}

// parked runs loops on a goroutine each, and passes a token through all of them.
func parked(count, rounds int) error {
	loops := make([]*reactor.Loop, count)
	for i := range loops {
		loop, err := reactor.New(reactor.Config{})
		if err != nil {
			return err
		}
		defer loop.Close()
		defer loop.Hold()() // not to end before the token comes
		loops[i] = loop
	}

	errs := make([]error, count)
	var running sync.WaitGroup
	for i, loop := range loops {
		running.Go(func() { errs[i] = loop.RunParked(context.Background()) })
	}
	turns := 0
	var pass func(to int)
	pass = func(to int) {
		loops[to%count].Post(func() { // wakes the goroutine of that loop
			if turns++; turns < rounds*count {
				pass(to + 1)
				return
			}
			for _, loop := range loops {
				loop.Stop()
			}
		})
	}
	pass(0)
	running.Wait()
	threads := pprof.Lookup("threadcreate").Count() - runtime.GOMAXPROCS(0) // which Go runs goroutines on
	_, err := fmt.Printf("%d turns on %d goroutines\nthreads for a quarter of them or less: %v\n", turns, count, threads <= count/4)
	return errors.Join(append(errs, err)...)
}

// nested runs one loop inside another. Each keeps its own timers; both see what
// happens on one goroutine, in one order.
func nested() error {
	outer, err := reactor.New(reactor.Config{})
	if err != nil {
		return err
	}
	defer outer.Close()
	inner, err := reactor.New(reactor.Config{})
	if err != nil {
		return err
	}
	defer inner.Close()

	var failed error
	say := func(words ...any) {
		_, err := fmt.Println(words...)
		failed = errors.Join(failed, err)
	}
	if _, err := outer.Host(inner, func(err error) { say("inner: nothing left,", err) }); err != nil {
		return err
	}
	release := inner.Hold() // else it would end with its first timer
	inner.AfterFunc(10*time.Millisecond, func() {
		say("inner: a timer")
		outer.AfterFunc(10*time.Millisecond, func() {
			say("outer: a timer that the inner loop started")
			inner.Post(func() {
				say("inner: a post of the outer loop")
				release()
			})
		})
	})
	return errors.Join(outer.Run(context.Background()), failed)
}
