package rpc

import "cmp"

// asyncParts is what an async server knows of a streamed call besides.
type asyncParts struct {
	done   Done
	begun  bool // the handler has returned, and has said what it wants
	onPart func(part Payload)
	onEnd  func()
	paused bool  // what is taken is not granted
	kept   int64 // meanwhile
}

// OnParts has the parts of the call's request given to part, on the loop, in their order,
// and end called when the caller has sent the last; both may be nil. It is to be called
// before the handler returns; without it, and for a nil part, they are dropped. A part is a
// view that is valid until the function returns; then its bytes are granted to the caller
// again, unless PauseParts is in force.
//
// After the answer neither is called. Nor can end be relied on if the caller cancels the call or is gone, or
// the deadline has passed: a handler that waits for it sets OnCancel, too, and answers there.
// For a call without input end is called, after the handler.
func (d Done) OnParts(part func(part Payload), end func()) {
	s := &d.open.slots[d.slot]
	if s.gen != d.gen {
		return
	}
	a, ok := d.open.owner.(*asyncServer)
	switch {
	case !ok:
		d.tellEnd(end)
		return
	case s.parts == nil:
		s.parts = &callParts{server: a.Server, id: s.id, ended: true}
	}
	s.parts.async.onPart, s.parts.async.onEnd = part, end
}

// tellEnd tells the handler of a call of the child, which has no parts, that they are through.
func (d Done) tellEnd(end func()) {
	if end == nil {
		return
	}
	d.open.loop.Post(func() {
		if d.open.slots[d.slot].gen == d.gen && !d.isGivenUp() {
			end()
		}
	})
}

// PauseParts grants the caller nothing more: what it may send already, at most the window
// and one part, is still given to OnParts' function.
func (d Done) PauseParts() {
	if p := d.streamed(); p != nil {
		p.async.paused = true
	}
}

// ResumeParts grants what was taken since PauseParts.
func (d Done) ResumeParts() {
	if p := d.streamed(); p != nil {
		kept := p.async.kept
		p.async.paused, p.async.kept = false, 0
		d.open.owner.(*asyncServer).grant(p, kept)
	}
}

// OnRoom has fn called on the loop when Part, which has returned ErrFull, may be called again;
// once, not inside OnRoom, and not after the call has been answered. A second OnRoom replaces
// the first; nil removes it.
//
// For a call that was cancelled, whose deadline has passed, or whose caller is gone nothing is
// granted any more: then fn is called, too, after OnCancel's function, and finds that Part
// returns another error.
func (d Done) OnRoom(fn func()) {
	c := d.state()
	if c == nil {
		return
	}
	c.onRoom = fn
	switch {
	case fn == nil:
	case d.hasRoom():
		d.open.loop.Post(d.tellRoom) // it came meanwhile
	default:
		c.watchDeadline()
	}
}

// streamed returns what is known of the parts of an open call; nil if that is nothing.
func (d Done) streamed() *callParts {
	if s := &d.open.slots[d.slot]; s.gen == d.gen {
		return s.parts
	}
	return nil
}

// hasRoom reports whether Part would not return ErrFull.
func (d Done) hasRoom() bool {
	a, ok := d.open.owner.(*asyncServer)
	if !ok {
		return true
	}
	p := d.streamed()
	return d.isGivenUp() || !a.full() && (p == nil || p.hasCredit())
}

// tellRoom calls OnRoom's function, if there is one, and room.
func (d Done) tellRoom() {
	s := &d.open.slots[d.slot]
	if s.gen != d.gen || s.state == nil || !d.hasRoom() {
		return
	}
	s.state.tellRoom()
}

// partsRoom tells all calls that there is room in the stream.
func (a *asyncServer) partsRoom() {
	for i := range a.open.slots {
		a.open.at(i).tellRoom()
	}
}

// handlerReturned is called when the handler of a call with parts has returned, and has not answered it.
func (a *asyncServer) handlerReturned(d Done, p *callParts) {
	p.async.done, p.async.begun = d, true
	a.deliver(p)
	a.tellInputEnded(d) // it may have come while the call waited
}

// partsCame acts on a part, the end of the parts, or credit.
func (a *asyncServer) partsCame(k kind, p *callParts) {
	switch {
	case !p.async.begun: // it waits with its parts
	case k == kindCredit:
		p.async.done.tellRoom()
	default:
		a.deliver(p)
	}
}

// deliver gives the handler the parts that have come. Nothing comes, and nobody calls it, behind their end.
func (a *asyncServer) deliver(p *callParts) {
	for {
		part, ok, ended, _ := p.next()
		switch {
		case ok:
			a.deliverPart(p, part)
			continue
		case ended && p.async.onEnd != nil && !p.async.done.isGivenUp(): // else the parts may not be whole
			p.async.onEnd()
		}
		return
	}
}

func (a *asyncServer) deliverPart(p *callParts, part Payload) {
	if p.async.onPart != nil {
		p.async.onPart(part)
	}
	if cost := partCost(len(part)); p.async.paused {
		p.async.kept += cost
	} else {
		a.grant(p, cost)
	}
}

// grant grants the caller what the handler has done with.
func (a *asyncServer) grant(p *callParts, cost int64) {
	if err := p.took(cost); err != nil {
		a.fail(err)
	}
}

// inputEnded tells the calls that wait for what cannot come any more.
func (a *asyncServer) inputEnded() {
	a.partsTable.breakOff(&LostError{Cause: errParentLeft, Started: true})
	for i := range a.open.slots {
		d := a.open.at(i)
		a.tellInputEnded(d)
		d.tellRoom() // Part says why there will be none
	}
}

// tellInputEnded tells an open call whose parts do not come any more.
func (a *asyncServer) tellInputEnded(d Done) {
	if p := d.streamed(); p != nil {
		if why := p.lacksInput(); why != nil {
			d.state().happened(why)
		}
	}
}

// isGivenUp reports whether an open call has been cancelled, or its deadline has passed.
func (d Done) isGivenUp() bool {
	s := &d.open.slots[d.slot]
	return s.gen == d.gen && s.state != nil && s.state.why != nil
}

// Part sends a part of the reply, a STRING list. It returns
//
//   - ErrNoParts if the caller's side takes none;
//   - ErrFull if the parent does not read or, in a streamed call, the caller has not taken
//     earlier parts; OnRoom tells when to go on;
//   - ErrTooLarge;
//   - ErrDone after the answer;
//   - what OnCancel is told, once the caller has cancelled the call, its deadline has passed,
//     or the caller is gone: ErrCanceled, ErrDeadline or a *LostError. The call has still to be
//     answered.
func (d Done) Part(values ...string) error { return d.PartBytes(Strings(values...)) }

// PartBytes is Part with a payload that has been encoded already; it is copied.
func (d Done) PartBytes(part []byte) error {
	s := &d.open.slots[d.slot]
	if s.gen != d.gen {
		return ErrDone
	}
	return d.open.owner.partOfOpen(s, part)
}

// partOfOpen implements callOwner.
func (a *asyncServer) partOfOpen(call *openCall, part Payload) error {
	if err := a.refusesPart(len(part)); err != nil {
		return err
	}
	if err := call.givenUp(); err != nil {
		return err // nobody takes it, and nobody grants more
	}
	if a.full() {
		return ErrFull
	}
	if call.parts != nil {
		if ok, err := call.parts.takeCredit(partCost(len(part))); !ok {
			return cmp.Or(err, ErrFull)
		}
	}
	return a.sendPart(call.id, part)
}
