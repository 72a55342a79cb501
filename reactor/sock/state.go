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
	lookups int // goroutines that resolve a name
	owed    int // callbacks that have been posted

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
	if s.owed > 0 || s.lookups > 0 {
		return true
	}
	for e := s.open.Front(); e != nil; e = e.Next() {
		if e.Value.(member).flushing() {
			return true
		}
	}
	return false
}

// Release ends what a loop that has failed has left.
func (s *state) Release() { s.Close() }

// later makes a callback that must not be made inside the call that caused it.
// After the loop has failed it is not made at all.
func (s *state) later(fn func()) {
	s.owed++
	// An error means that the loop has failed; owed is not looked at any more.
	_ = s.loop.Post(func() {
		s.owed--
		fn()
	})
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
