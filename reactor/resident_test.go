package reactor_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/evfork/evfork/internal/leaktest"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/reactortest"
)

// residentKey is a type of our own, as a Resident's key should be.
type residentKey int

// resident records what the loop asks of it. It owes callbacks for as many
// iterations as work says, once it has been told to end.
type resident struct {
	loop  *reactor.Loop
	work  int
	owed  bool
	calls []string
}

func (r *resident) Shutdown() { r.note("shutdown") }
func (r *resident) Close()    { r.note("close") }
func (r *resident) Release()  { r.note("release") }

func (r *resident) Active() bool {
	if r.work <= 0 {
		return false
	}
	if !r.owed {
		r.owed = true
		r.loop.Post(func() { r.work, r.owed = r.work-1, false })
	}
	return true
}

func (r *resident) note(call string) { r.calls = append(r.calls, call) }

func (r *resident) wantCalls(t *testing.T, want string) {
	t.Helper()
	if got := strings.Join(r.calls, " "); got != want {
		t.Errorf("the loop called %q, want %q", got, want)
	}
}

func newResident(t *testing.T, loop *reactor.Loop, key residentKey, work int) *resident {
	t.Helper()
	r, err := loop.Resident(key, func() reactor.Resident { return &resident{loop: loop, work: work} })
	must(t, err)
	return r.(*resident)
}

func TestResidentIsMadeOncePerKeyAndLoop(t *testing.T) {
	loop, other := newLoop(t), newLoop(t)
	first := newResident(t, loop, 1, 0)
	if newResident(t, loop, 1, 0) != first {
		t.Error("made twice")
	}
	if newResident(t, loop, 2, 0) == first || newResident(t, other, 1, 0) == first {
		t.Error("shared with another key or loop")
	}
}

func TestCloseIteratesUntilResidentsOweNothing(t *testing.T) {
	loop, _ := newHandLoop(t) // on which the time that Close would wait never ends
	r := newResident(t, loop, 1, 5)
	before := loop.Stats().Iterations
	must(t, loop.Close())
	if n := loop.Stats().Iterations - before; n != 5 {
		t.Errorf("%d iterations, want 5", n)
	}
	must(t, loop.Close())
	r.wantCalls(t, "close release")
}

func TestShutdownIteratesUntilResidentsOweNothing(t *testing.T) {
	loop := newLoop(t)
	r := newResident(t, loop, 1, 5)
	must(t, loop.Shutdown(context.Background()))
	r.wantCalls(t, "shutdown close release")
}

func TestShutdownWhoseContextEndsClosesAtOnce(t *testing.T) {
	loop := newLoop(t)
	r := newResident(t, loop, 1, 1<<30)
	ctx, cancel := context.WithCancel(context.Background())
	loop.AfterFunc(time.Millisecond, func() {
		cancel()
		r.work = 0
	})
	wantErr(t, loop.Shutdown(ctx), context.Canceled)
	r.wantCalls(t, "shutdown close release")
}

// stuckResident owes a callback that never comes.
type stuckResident struct{ resident }

func (r *stuckResident) Active() bool { return true }

// TestCloseGivesUpOnAResidentThatNeverEnds but is not impatient with one for having
// been stopped itself: of a wait that took a minute, no more counts than was meant.
func TestCloseGivesUpOnAResidentThatNeverEnds(t *testing.T) {
	for name, heldUp := range map[string]time.Duration{"waits": 0, "is stopped at every wait": time.Minute} {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			sim := reactortest.New(t, reactor.Config{})
			r := &stuckResident{}
			_, err := sim.Loop.Resident(residentKey(1), func() reactor.Resident { return r })
			must(t, err)
			iterations := 0
			sim.Loop.OnCheck(func() {
				iterations++
				sim.Clock.Advance(heldUp)
			})
			must(t, sim.Loop.Close())
			r.wantCalls(t, "close release")
			if iterations < 50 {
				t.Errorf("it gave up after %d waits", iterations)
			}
			if waited := sim.Clock.Monotonic() - time.Duration(iterations)*heldUp; waited < 2*time.Second || waited > time.Minute {
				t.Errorf("it waited for %v", waited)
			}
		})
	}
}

func TestResidentsAreEndedInTheOrderTheyWereMade(t *testing.T) {
	loop := newLoop(t)
	var order []string
	for key := range residentKey(3) {
		_, err := loop.Resident(key, func() reactor.Resident { return &namedResident{key: key, order: &order} })
		must(t, err)
	}
	must(t, loop.Close())
	want := "close 0 close 1 close 2 release 0 release 1 release 2"
	if got := strings.Join(order, " "); got != want {
		t.Errorf("the order was %q, want %q", got, want)
	}
}

// namedResident records its calls among those of others.
type namedResident struct {
	key   residentKey
	order *[]string
}

func (r *namedResident) note(call string) {
	*r.order = append(*r.order, fmt.Sprint(call, " ", int(r.key)))
}
func (r *namedResident) Shutdown()    { r.note("shutdown") }
func (r *namedResident) Close()       { r.note("close") }
func (r *namedResident) Release()     { r.note("release") }
func (r *namedResident) Active() bool { return false }

// TestResidentIsReleasedAfterAPanic: Close still frees what a failed loop holds.
func TestResidentIsReleasedAfterAPanic(t *testing.T) {
	loop := newLoop(t)
	r := newResident(t, loop, 1, 0)
	loop.Post(func() { panic("left") })
	leaveRun(loop)
	r.wantCalls(t, "")
	must(t, loop.Close())
	r.wantCalls(t, "release")
}

// TestResidentIsNotMadeWhileTheLoopEnds: it would not be told that it is to end.
func TestResidentIsNotMadeWhileTheLoopEnds(t *testing.T) {
	ends := map[string]func(*reactor.Loop) error{
		"Close":    (*reactor.Loop).Close,
		"Shutdown": func(l *reactor.Loop) error { return l.Shutdown(t.Context()) },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			loop := newLoop(t)
			first := newResident(t, loop, 1, 1)
			asked := false
			loop.Post(func() {
				asked = true
				if newResident(t, loop, 1, 0) != first {
					t.Error("the first was made again")
				}
				_, err := loop.Resident(residentKey(2), func() reactor.Resident { t.Error("made"); return nil })
				wantErr(t, err, reactor.ErrClosed)
			})
			must(t, end(loop))
			if !asked {
				t.Error("not asked")
			}
		})
	}
}
