package sock

import (
	"container/list"

	"github.com/evfork/evfork/internal/callback"
	"github.com/evfork/evfork/reactor"
)

type residentKey struct{}

// state is what the package keeps on a loop: everything that is open, in the
// order in which it was opened.
type state struct {
	loop    *reactor.Loop
	open    list.List // of member
	waiting list.List // of *Listener: they wait for a descriptor to become free
	ending  bool
	lookups int       // goroutines that resolve a name
	owed    list.List // of func(), callbacks that have been posted; nil: has been made or taken back

	retrying bool // retry has been posted

	buf     []byte      // for receiving datagrams; lent to OnPacket
	onClose func(error) // of streams whose owner does not care
}

// A member is ended together with the loop.
type member interface {
	end()
	// flushing: the loop's Shutdown waits for it instead of ending it.
	flushing() bool
}

func stateOf(loop *reactor.Loop) (*state, error) {
	r, err := loop.Resident(residentKey{}, func() reactor.Resident {
		s := &state{loop: loop}
		s.onClose = func(error) { s.freed() }
		loop.OnCleanup(s.loopEnded)
		return s
	})
	if err != nil {
		return nil, err
	}
	s := r.(*state)
	if s.ending {
		return nil, reactor.ErrClosed
	}
	return s, nil
}

// Shutdown closes listeners and ends dials; datagrams that are queued are sent.
func (s *state) Shutdown() {
	s.ending = true
	for m := s.idle(); m != nil; m = s.idle() {
		m.end()
	}
}

// idle is the first member that Shutdown need not wait for; nil if there is none. It is looked for anew after
// each end, which may be that of others, too.
func (s *state) idle() member {
	for e := s.open.Front(); e != nil; e = e.Next() {
		if m := e.Value.(member); !m.flushing() {
			return m
		}
	}
	return nil
}

// Close ends everything.
func (s *state) Close() {
	s.ending = true
	for e := s.open.Front(); e != nil; e = s.open.Front() {
		e.Value.(member).end()
	}
}

// Active: a callback is owed, a goroutine is about to post, or Shutdown waits
// for datagrams to leave.
func (s *state) Active() bool {
	if s.owed.Len() > 0 || s.lookups > 0 {
		return true
	}
	for e := s.open.Front(); e != nil; e = e.Next() {
		if e.Value.(member).flushing() {
			return true
		}
	}
	return false
}

// loopEnded makes the callbacks that are owed when the loop has failed, which runs no posts any more. Otherwise all
// has ended before.
func (s *state) loopEnded() {
	s.Close()
	callback.ToTheEnd(func() {
		for e := s.owed.Front(); e != nil; e = s.owed.Front() {
			s.pay(e)
		}
	})
}

// Release has nothing to do: all has ended with the loop.
func (s *state) Release() {}

// later makes a callback that must not be made inside the call that caused it, unless it is taken back before.
func (s *state) later(fn func()) *list.Element {
	e := s.owed.PushBack(fn)
	// An error means that the loop has failed: see loopEnded.
	_ = s.loop.Post(func() { s.pay(e) })
	return e
}

// pay makes a callback that is owed, once.
func (s *state) pay(e *list.Element) {
	if fn, ok := e.Value.(func()); ok {
		s.takeBack(e)
		fn()
	}
}

// takeBack forgets a callback, which may be nil, or have been made.
func (s *state) takeBack(e *list.Element) {
	if e != nil && e.Value != nil {
		s.owed.Remove(e)
		e.Value = nil
	}
}

// freed tells the listeners that have run out of descriptors that there is one. They hear of it in a step of their
// own: whoever gives back a descriptor must not find, inside that call, that their OnError has closed something.
func (s *state) freed() {
	if s.waiting.Len() > 0 && !s.retrying {
		// An error means that the loop has failed, and they with it.
		s.retrying = s.loop.Post(s.retry) == nil
	}
}

// retry has all of those that wait now try again.
func (s *state) retry() {
	s.retrying = false
	// One that cannot be watched again goes to the end of the list, and its OnError
	// may close others.
	n := s.waiting.Len()
	callback.ToTheEnd(func() {
		for n > 0 && s.waiting.Len() > 0 {
			n--
			s.waiting.Front().Value.(*Listener).retry()
		}
	})
}

// closing adds to a stream's OnClose that its descriptor is free.
func (s *state) closing(onClose func(error)) func(error) {
	if onClose == nil {
		return s.onClose
	}
	return func(err error) {
		s.freed()
		onClose(err)
	}
}
