package reactor_test

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// hostedFD returns the descriptor through which a host watches the loop.
func hostedFD(t testing.TB, loop *reactor.Loop) int {
	t.Helper()
	fd, err := loop.FD()
	if loop.Backend() == "poll" && errors.Is(err, reactor.ErrUnsupported) {
		t.Skip("not with poll: ", err)
	}
	must(t, err)
	return fd
}

// loopFD is hostedFD of a loop on which nothing has happened.
func loopFD(t testing.TB, loop *reactor.Loop) int {
	t.Helper()
	fd := hostedFD(t, loop)
	if fdtest.Readable(t, fd) {
		t.Fatal("FD is readable though nothing has happened")
	}
	return fd
}

// wantDue checks that the host is told to poll now, and that once is enough.
func wantDue(t testing.TB, loop *reactor.Loop, fd int) {
	t.Helper()
	if !fdtest.Readable(t, fd) {
		t.Error("FD is not readable")
	}
	if at, ok := loop.NextDeadline(); !ok || at.After(time.Now()) {
		t.Errorf("the next deadline is %v, %v; want now", at, ok)
	}
	pollTimes(t, loop, 1)
	if fdtest.Readable(t, fd) {
		t.Error("FD is readable though all has been done")
	}
	if _, ok := loop.NextDeadline(); ok {
		t.Error("there is a deadline though all has been done")
	}
}

func TestHostIsToldOfAPost(t *testing.T) {
	loop := newLoop(t)
	fd := loopFD(t, loop)
	ran := 0
	for range 100 {
		loop.Post(func() { ran++ })
	}
	wantDue(t, loop, fd)
	if ran != 100 {
		t.Errorf("%d of 100 posts ran", ran)
	}
}

// TestHostIsToldOfAPostMadeByAPost: it was made while the loop was awake, so it
// has woken nobody, and waits for an iteration that only the host can begin.
func TestHostIsToldOfAPostMadeByAPost(t *testing.T) {
	loop := newLoop(t)
	fd := loopFD(t, loop)
	ran := false
	loop.Post(func() { loop.Post(func() { ran = true }) })
	pollTimes(t, loop, 1)
	wantDue(t, loop, fd)
	if !ran {
		t.Error("the post made by a post did not run")
	}
}

func TestHostIsToldOfAQueuedWrite(t *testing.T) {
	loop := newLoop(t)
	fd := loopFD(t, loop)
	p := pipe(t)
	s, err := loop.NewStream(-1, fdtest.Dup(t, p.Write), reactor.StreamConfig{})
	must(t, err)
	must(t, s.Write([]byte("x")))
	wantDue(t, loop, fd)
	if !fdtest.Readable(t, p.Read) {
		t.Error("nothing was written")
	}
}

func TestHostIsToldOfADeferredCallback(t *testing.T) {
	loop := newLoop(t)
	fd := loopFD(t, loop)
	closed := false
	s, err := loop.NewStream(fdtest.Dup(t, pipe(t).Read), -1, reactor.StreamConfig{OnClose: func(error) { closed = true }})
	must(t, err)
	s.Close()
	wantDue(t, loop, fd)
	if !closed {
		t.Error("the callback was not made")
	}
}

func TestHostIsToldOfAReadyDescriptor(t *testing.T) {
	loop := newLoop(t)
	fd := loopFD(t, loop)
	p := pipe(t)
	watch(t, loop, p.Read, reactor.Read, func(reactor.Ready) { p.Available(t) })
	p.Send(t, []byte("x"))
	fdtest.Await(t, fd, unix.POLLIN)
	pollTimes(t, loop, 1)
	pollTimes(t, loop, 1) // the kernel takes it off its list when it finds it idle
	if fdtest.Readable(t, fd) {
		t.Error("FD is readable though nothing is left to read")
	}
}

func TestHostIsToldWhenTheFirstTimerIsDue(t *testing.T) {
	loop := newLoop(t)
	if at, ok := loop.NextDeadline(); ok {
		t.Errorf("%v without any timer", at)
	}
	before := time.Now()
	loop.AfterFunc(2*time.Hour, func() {})
	first := loop.AfterFunc(time.Hour, func() {})
	at, ok := loop.NextDeadline()
	if !ok || at.Before(before.Add(time.Hour)) || at.After(time.Now().Add(time.Hour)) {
		t.Errorf("%v, %v; want in an hour", at, ok)
	}
	first.Reset(0)
	if at, ok := loop.NextDeadline(); !ok || at.After(time.Now()) {
		t.Errorf("%v, %v; want now", at, ok)
	}
}

// TestPostsBeyondOneBatchAreDueAtOnce: they wait for the next iteration, and the
// host must not.
func TestPostsBeyondOneBatchAreDueAtOnce(t *testing.T) {
	loop := newLoop(t)
	fd := loopFD(t, loop)
	const count = 5000
	ran := 0
	for range count {
		loop.Post(func() { ran++ })
	}
	for ran < count {
		before := ran
		if !fdtest.Readable(t, fd) {
			t.Fatalf("FD is not readable after %d of %d posts", ran, count)
		}
		pollTimes(t, loop, 1)
		if ran == before {
			t.Fatalf("no post ran after %d of %d", ran, count)
		}
	}
}

func TestLoopHostedInAnotherLoop(t *testing.T) {
	outer := newLoop(t)
	inner := newLoop(t)
	host := watch(t, outer, loopFD(t, inner), reactor.Read, func(reactor.Ready) { must(t, inner.Poll(0)) })
	const rounds = 100
	count := 0
	var post func()
	post = func() {
		if count++; count == rounds {
			host.Stop()
			return
		}
		inner.Post(post)
	}
	inner.Post(post)
	run(t, outer)
	if count != rounds {
		t.Errorf("%d of %d posts ran", count, rounds)
	}
}
