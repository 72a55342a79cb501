package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/evfork/evfork/reactor"
)

// Posts to this project's loop, and what a Go program would use without one: a
// goroutine that runs what a channel brings.

const nameChannel = "Go channel"

func addPosts(r *Registry) {
	for _, p := range postScenarios {
		r.Enter(p.id, Contestant{Name: nameEvfork, Calls: p.calls, GoParent: true, Run: p.evfork})
		r.Enter(p.id, Contestant{Name: nameChannel, Calls: p.calls, GoParent: true, Run: p.channel})
	}
	r.Enter("L3-asleep", Contestant{Name: nameEvfork, Calls: wakeUps, GoParent: true, Run: evforkWakeUps})
	r.Enter("L3-asleep", Contestant{Name: nameChannel, Calls: wakeUps, GoParent: true, Run: channelWakeUps})
}

// evfork measures posts, and counts write(2) in the whole process meanwhile: the
// only one that posting can cause is the one that wakes the loop.
func (p postScenario) evfork(s Sample) (Result, error) {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return Result{}, err
	}
	if p.awake {
		if err := keepAwake(loop); err != nil {
			return Result{}, err
		}
	}
	e := &evforkPosts{postScenario: p, loop: loop}
	m, err := measure(s.Calls, e.run)
	if err != nil {
		return Result{}, err
	}
	return Result{Value: m.callsPerSecond(), Extra: map[string]float64{
		"allocs/post": float64(m.allocated.mallocs) / float64(s.Calls),
		postWaits:     float64(e.blocked),
		postWrites:    float64(e.writes),
	}}, nil
}

type evforkPosts struct {
	postScenario
	loop    *reactor.Loop
	ran     int
	blocked int // of the last run, as is
	writes  int
	failed  error
}

// run begins and ends its counts on the loop: outside of Run a loop counts as
// asleep, and the first post may wake it.
func (e *evforkPosts) run(calls int) error {
	e.ran = 0
	release := e.loop.Hold()
	defer release()
	sent := make(chan error, 1)
	count := func() {
		if e.ran++; e.ran == calls {
			e.count(+1)
		}
	}
	err := e.loop.Post(func() {
		e.writes, e.blocked = 0, 0
		e.count(-1)
		go func() {
			sent <- inGoroutines(e.goroutines, calls, func() func() error {
				return func() error { return e.loop.Post(count) }
			})
		}()
	})
	if err != nil {
		return err
	}
	err = e.loop.RunUntil(context.Background(), func() bool { return e.ran == calls })
	return errors.Join(err, <-sent, e.failed)
}

func (e *evforkPosts) count(sign int) {
	writes, err := writeCalls()
	if err != nil {
		e.failed = err
	}
	e.writes += sign * writes
	e.blocked += sign * int(e.loop.Stats().Blocked)
}

// keepAwake watches a descriptor that is always ready.
func keepAwake(loop *reactor.Loop) error {
	pair, err := openPair()
	if err != nil {
		return err
	}
	_, err = loop.WatchFD(pair.write, reactor.Write, func(reactor.Ready) {})
	return err
}

// writeCalls counts the system calls of this process that write, where the
// kernel keeps that count; 0 elsewhere.
func writeCalls() (int, error) {
	text, err := os.ReadFile("/proc/self/io")
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if count, found := strings.CutPrefix(line, "syscw: "); found {
			return strconv.Atoi(strings.TrimSpace(count))
		}
	}
	return 0, errors.New("/proc/self/io has no syscw")
}

// channelLength is generous: a loop's queue has no bound at all.
const channelLength = 1024

func (p postScenario) channel(s Sample) (Result, error) {
	m, err := measure(s.Calls, func(calls int) error {
		posts, ran := make(chan func(), channelLength), 0
		count := func() { ran++ }
		sent := make(chan error, 1)
		go func() {
			sent <- inGoroutines(p.goroutines, calls, func() func() error {
				return func() error { posts <- count; return nil }
			})
		}()
		for ran < calls {
			if p.awake { // has other work: takes what is there, and goes on
				select {
				case fn := <-posts:
					fn()
				default:
					runtime.Gosched()
				}
				continue
			}
			fn := <-posts
			fn()
		}
		return <-sent
	})
	if err != nil {
		return Result{}, err
	}
	return Result{Value: m.callsPerSecond()}, nil
}

// evforkWakeUps posts the next when the last has run, from outside the loop.
func evforkWakeUps(s Sample) (Result, error) {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return Result{}, err
	}
	release := loop.Hold()
	ran := make(chan struct{})
	var m measurement
	var measured error
	go func() {
		defer release()
		answer := func() { ran <- struct{}{} }
		m, measured = measure(s.Calls, func(calls int) error {
			for range calls {
				if err := loop.Post(answer); err != nil {
					return err
				}
				<-ran
			}
			return nil
		})
	}()
	if err := loop.Run(context.Background()); err != nil {
		return Result{}, err
	}
	return Result{Value: m.roundTripMicroseconds(), Extra: map[string]float64{
		"blocking waits/post": float64(loop.Stats().Blocked) / float64(s.Calls+s.Calls/10+1),
	}}, errors.Join(measured, loop.Close())
}

func channelWakeUps(s Sample) (Result, error) {
	posts, ran := make(chan func()), make(chan struct{})
	go func() {
		for fn := range posts {
			fn()
		}
	}()
	answer := func() { ran <- struct{}{} }
	m, err := measure(s.Calls, func(calls int) error {
		for range calls {
			posts <- answer
			<-ran
		}
		return nil
	})
	close(posts)
	return Result{Value: m.roundTripMicroseconds()}, err
}
