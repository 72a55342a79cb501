package rpc_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/internal/waitpeek"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/reactortest"
	"github.com/evfork/evfork/rpc"
)

// aged returns when the loop's Now is a while old, as behind a callback that has computed. What has a time within that while
// comes before any timer that is started for its end.
func (f *fixture) aged() (while time.Duration) {
	while = 20 * time.Millisecond
	time.Sleep(time.Until(f.Now().Add(2 * while)))
	return while
}

// The deadline of a call came late by as much as the loop's Now was old: of one made in a callback that had computed for a
// second, or before Run, a second.
func TestDeadlineIsNotLateByTheAgeOfTheLoopsTime(t *testing.T) {
	f := newFixture(t)
	transport, _ := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{})
	while := f.aged()
	r, _ := f.beginWith(c, within(time.Millisecond), "echo")
	over := false
	f.expect(r.ended, while, func() { over = true })
	f.until(func() bool { return over })
	if !errors.Is(r.err, rpc.ErrDeadline) {
		t.Errorf("the call ended with %v", r.err)
	}
}

// expect fails the test unless a call has ended before a timer that is started now.
func (f *fixture) expect(ended func() bool, d time.Duration, then func()) {
	f.AfterFunc(d, func() {
		if !ended() {
			f.t.Errorf("a call that was to end before comes after %v", d)
		}
		then()
	})
}

// So did that of a call to the parent.
func TestDeadlineOfAnUpcallIsNotLateByTheAgeOfTheLoopsTime(t *testing.T) {
	f := newFixture(t)
	r := &result{}
	serveAsker(f, rpc.ServerConfig{}, helloTaking("1")+frame(1, ""), func(a *asker, _ rpc.Payload, done rpc.Done) {
		while := f.aged()
		_, err := a.GoParentWith(r, within(time.Millisecond), nil)
		must(t, err)
		must(t, done.Reply())
		f.expect(r.ended, while, func() { a.endInput(t) })
	})
	if !errors.Is(r.err, rpc.ErrDeadline) {
		t.Errorf("the call ended with %v", r.err)
	}
}

// The time left that travels was too long by that.
func TestTimeLeftIsThatOfTheCall(t *testing.T) {
	f := newFixture(t)
	transport, theirs := f.stranger()
	ready := false
	c := f.client(transport, peer{}, rpc.Config{OnEvent: func(rpc.Payload) { ready = true }})
	_, err := theirs.WriteString(ourHello + frame(0, ""))
	must(t, err)
	f.until(func() bool { return ready })
	f.aged()
	const most = time.Hour
	f.beginWith(c, within(most), "echo")
	must(t, f.Poll(0))
	readOneFrame(t, theirs, 8)
	call := readOneFrame(t, theirs, 8)
	value := len(metaCall(1, "\x08deadline\x10", ""))
	left := time.Duration(binary.BigEndian.Uint64([]byte(call[value+8:])))
	if left > most || left <= 0 {
		t.Errorf("%v were left of %v", left, most)
	}
}

// machineWall is a Clock with the machine's time of day.
type machineWall struct{ *reactortest.Clock }

func (machineWall) Wall() time.Time { return time.Now() }

// Deadlines were measured by the machine's clock if the time of day of the loop's own was the machine's: they were late by as much as that was ahead.
func TestDeadlineIsOfTheLoopsOwnClockWithTheMachinesTimeOfDay(t *testing.T) {
	clock := machineWall{reactortest.NewClock()}
	f := newFixtureWith(t, reactor.Config{Clock: clock})
	transport, _ := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{})
	clock.Advance(time.Hour)
	must(t, f.Poll(0))
	r, _ := f.beginWith(c, rpc.CallOptions{Deadline: f.Now().Add(time.Second)}, "echo")
	clock.Advance(2 * time.Second)
	must(t, f.Poll(0))
	must(t, f.Poll(0)) // if the first came too early for it
	if r.err != rpc.ErrDeadline {
		t.Errorf("after two seconds of the loop's the call has ended %d times, with %v", r.ends, r.err)
	}
}

// By a clock that is not the machine's they were late by as much as a callback had taken.
func TestDeadlineIsNotLateByWhatACallbackTakesOfTheLoopsOwnClock(t *testing.T) {
	clock := reactortest.NewClock()
	f := newFixtureWith(t, reactor.Config{Clock: clock})
	transport, _ := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{})
	var r *result
	must(t, f.Post(func() {
		clock.Advance(time.Hour)
		r, _ = f.beginWith(c, rpc.CallOptions{Deadline: clock.Wall().Add(time.Second)}, "echo")
	}))
	must(t, f.Poll(0))
	clock.Advance(2 * time.Second)
	must(t, f.Poll(0))
	if r.err != rpc.ErrDeadline {
		t.Errorf("after two seconds the call has ended %d times, with %v", r.ends, r.err)
	}
}

// A child was put down for an answer that it had given in time, and that the loop, being busy, had not read.
func TestAbandonTimeoutSparesAChildThatHasAnswered(t *testing.T) {
	clock := reactortest.NewClock()
	f := newFixtureWith(t, reactor.Config{Clock: clock})
	transport, theirs := f.stranger()
	var w watched
	c := f.client(transport, peer{}, w.config(rpc.Config{AbandonTimeout: time.Second}))
	r, id := f.beginWith(c, rpc.CallOptions{}, "echo")
	c.Cancel(id)
	f.until(r.ended)
	_, err := theirs.WriteString(hello + frame(1, "an answer"))
	must(t, err)
	clock.Advance(time.Minute)
	f.until(func() bool { return c.InFlight() == 0 || w.ended() })
	if w.err != nil {
		t.Errorf("OnError got %v", w.err)
	}
}

// A child that had ended by itself meanwhile was said to have been put down, in the end only if much else was ready, of which a wait
// reports a part.
func TestAbandonTimeoutIsNotHeldAgainstAChildThatHasEnded(t *testing.T) {
	for _, others := range []int{0, 400} { // the first waits report 32, 64, 128
		t.Run(fmt.Sprint(others), func(t *testing.T) {
			clock := reactortest.NewClock()
			f := newFixtureWith(t, reactor.Config{Clock: clock})
			var w watched
			proc := f.spawn(pipes("async"), child.Config{})
			c := f.client(proc, peer{}, w.config(rpc.Config{AbandonTimeout: time.Second}))
			f.works(c)
			r, id := f.beginWith(c, rpc.CallOptions{}, "hold")
			c.Cancel(id)
			f.until(r.ended)
			f.watchReady(others)
			must(t, proc.Signal(syscall.SIGKILL))
			for exited := false; !exited; runtime.Gosched() {
				var err error
				if exited, err = waitpeek.Exited(proc.PID()); err != nil {
					t.Skip(err)
				}
			}
			clock.Advance(time.Minute)
			f.until(w.ended)
			if errors.Is(w.err, rpc.ErrUnresponsive) {
				t.Errorf("OnError got %v", w.err)
			}
		})
	}
}

// watchReady watches that many descriptors that are always ready.
func (f *fixture) watchReady(n int) {
	for range n {
		watcher, err := f.WatchFD(fdtest.ReadyPipe(f.t).Read, reactor.Read, func(reactor.Ready) {})
		must(f.t, err)
		f.t.Cleanup(func() { watcher.Stop() })
	}
}

// A child was put down at once for a call that was abandoned in a callback which had computed for longer than AbandonTimeout, if another
// call's time came.
func TestAbandonTimeoutBeginsWhenTheCallIsAbandoned(t *testing.T) {
	const patience = 20 * time.Millisecond
	f := newFixture(t)
	transport, _ := f.stranger()
	var w watched
	c := f.client(transport, peer{}, w.config(rpc.Config{AbandonTimeout: patience}))
	_, abandoned := f.beginWith(c, rpc.CallOptions{}, "echo")
	f.beginWith(c, rpc.CallOptions{Deadline: f.Now()}, "echo")
	_ = f.aged()
	begun := time.Now()
	c.Cancel(abandoned)
	f.until(w.ended)
	if took := time.Since(begun); took < patience {
		t.Errorf("after %v OnError got %v", took, w.err)
	}
}
