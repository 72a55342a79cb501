package rpc

import (
	"time"

	"github.com/evfork/evfork/internal/callback"
	"github.com/evfork/evfork/reactor"
)

// callOwner is who sends what a Done is given.
type callOwner interface {
	// answerOpen ends a call that is not open any more.
	answerOpen(id uint32, reply Payload, failure error) error
	// partOfOpen sends a part of the reply to a call that is.
	partOfOpen(call *openCall, part Payload) error
}

// openCalls are the calls begun on a loop and not answered, so that each is answered once:
// those of an asyncServer, or those of its child that a Client has.
type openCalls struct {
	owner callOwner
	loop  *reactor.Loop

	slots []openCall
	free  int // the first free slot, each of which has the next; behind the slots if there is none
	count int
	byID  map[uint32]int // from the first cancel on; before, nobody asks
}

type openCall struct {
	id    uint32     // while the slot is free, the next free one
	gen   uint32     // odd while the slot is taken
	state *callState // nil unless something has happened to it, or somebody has asked for its ctx or is to be told
	parts *callParts // of a streamed call; nil for others

	deadline time.Time // zero: none
}

// add returns the Done of a new call.
func (o *openCalls) add(id uint32) Done {
	i := o.free
	if i == len(o.slots) {
		o.slots = append(o.slots, openCall{id: uint32(i + 1)})
	}
	s := &o.slots[i]
	o.free, s.id = int(s.id), id
	s.gen++
	o.count++
	if o.byID != nil {
		o.byID[id] = i
	}
	return Done{open: o, slot: i, gen: s.gen}
}

// at is the Done of the call in a slot; if the slot is free, of none.
func (o *openCalls) at(i int) Done { return Done{open: o, slot: i, gen: o.slots[i].gen} }

// take ends a call, and what it has asked for. It returns false if the call has ended before.
func (o *openCalls) take(slot int, gen uint32) (id uint32, ok bool) {
	s := &o.slots[slot]
	if s.gen != gen {
		return 0, false
	}
	id = s.id
	state, p := s.state, s.parts
	*s = openCall{id: uint32(o.free), gen: gen + 1}
	o.free = slot
	o.count--
	if o.byID != nil {
		delete(o.byID, id)
	}
	if p != nil {
		p.over()
	}
	if state != nil {
		state.end()
	}
	return id, true
}

// find returns the open call with an id; nil if there is none.
func (o *openCalls) find(id uint32) *openCall {
	if o.byID == nil {
		o.byID = map[uint32]int{}
		for i := range o.slots {
			if s := &o.slots[i]; s.gen%2 == 1 {
				o.byID[s.id] = i
			}
		}
	}
	if i, ok := o.byID[id]; ok {
		return &o.slots[i]
	}
	return nil
}

// stateOf is the state of an open call, which is made if there is none.
func (o *openCalls) stateOf(s *openCall) *callState {
	if s.state == nil {
		s.state = &callState{loop: o.loop, deadline: s.deadline}
	}
	return s.state
}

// endAll ends what the open calls have asked for.
func (o *openCalls) endAll() {
	for i := range o.slots {
		if state := o.slots[i].state; state != nil {
			state.end()
		}
	}
}

// cancel tells an open call that its caller does not wait any more. Without the call it has been
// answered.
func (o *openCalls) cancel(id uint32) {
	s := o.find(id)
	if s == nil {
		return
	}
	o.stateOf(s).happened(ErrCanceled)
}

// tellAll tells the open calls, which are to be answered all the same, that nobody waits for their answers.
func (o *openCalls) tellAll(why error) {
	i := 0
	callback.ToTheEnd(func() {
		for i < len(o.slots) {
			s := &o.slots[i]
			i++
			if s.gen%2 == 1 {
				o.stateOf(s).happened(why)
			}
		}
	})
}
