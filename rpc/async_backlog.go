package rpc

import "slices"

// asyncBacklog is the calls that an async server has read and not begun, because so many calls
// run, or so many replies wait to be written, that no other may begin. It reads on to a
// limit, for the sake of the frames behind them that are about the calls which run.
type asyncBacklog struct {
	calls  backlog[*keptCall]
	eof    bool        // it came behind them
	posted bool        // goOn is on its way
	free   []*keptCall // to be used again
}

// freeKept is how many records are kept while no call waits.
const freeKept = 64

// copyKept is how large a copy of a request may be for its memory to be used again: not much
// more than callOverhead, which is all that is counted for what a short request leaves unused.
const copyKept = 2 * callOverhead

// keptCall is a call with a copy of its request, in memory of its own: a call that stays for
// long keeps no other's.
type keptCall struct {
	call incoming
	copy []byte
}

// number and length implement waitingCall.
func (h *keptCall) number() uint32 { return h.call.id }
func (h *keptCall) length() int    { return len(h.call.payload) }

// any reports whether something waits until calls may begin again.
func (h *asyncBacklog) any() bool { return h.eof || !h.calls.empty() }

// stalled reports whether no call may begin now.
func (a *asyncServer) stalled() bool {
	return a.stream.Congested() || a.limited && a.atLimit()
}

// atLimit reports whether so many calls run, or so many replies wait for their turn, that no
// other call may begin.
func (a *asyncServer) atLimit() bool {
	limit := a.config.MaxConcurrent
	calls, size := a.order.waiting()
	return size >= a.maxBuffered() || limit > 0 && a.open.count+calls >= limit
}

// keep keeps a call for later.
func (a *asyncServer) keep(call *incoming) {
	s := &a.backlog
	var h *keptCall
	if last := len(s.free) - 1; last >= 0 {
		h, s.free = s.free[last], s.free[:last]
	} else {
		h = &keptCall{}
	}
	h.call = *call
	h.copy = append(h.copy[:0], call.payload...)
	h.call.payload = slices.Clip(h.copy)
	s.calls.push(h)
}

// release has the record of a call that does not wait any more used again.
func (s *asyncBacklog) release(h *keptCall) {
	h.call = incoming{}
	if cap(h.copy) > copyKept {
		h.copy = nil
	}
	if s.free = append(s.free, h); s.calls.empty() && len(s.free) > freeKept {
		clear(s.free[freeKept:])
		s.free = s.free[:freeKept]
	}
}

// dropKept answers a call that is not begun.
func (a *asyncServer) dropKept(call *incoming, why error) {
	call.parts.over()
	if _, err := a.answerInTurn(call.id, nil, why, true); err != nil {
		a.fail(err)
	}
}

// cancelKept drops a call that waits, if it does.
func (a *asyncServer) cancelKept(id uint32) {
	if h, ok := a.backlog.calls.remove(id); ok {
		a.dropKept(&h.call, ErrCanceled)
		a.backlog.release(h)
	}
}

// readOn reads on while there is room, or handlers may be waiting for what comes behind; else it
// lets the pipe push back.
func (a *asyncServer) readOn() {
	if a.err != nil {
		return
	}
	if a.stream.Congested() || a.backlog.calls.full() && !a.mustReadOn() {
		a.stream.Pause()
	} else {
		a.stream.Resume()
	}
	if a.updateHold(a.backlog.calls.size) {
		if err := a.tellHold(); err != nil {
			a.fail(err)
		}
	}
}

// mayGoOn has the calls that wait begun, in the next iteration, if calls may begin again.
func (a *asyncServer) mayGoOn() {
	h := &a.backlog
	waits := !h.calls.empty()
	if h.posted || a.err != nil || !waits && !h.eof || waits && a.stalled() {
		return
	}
	h.posted = a.loop.Post(a.goOnFunc) == nil
}

func (a *asyncServer) goOn() {
	h := &a.backlog
	h.posted = false
	if a.err != nil {
		return
	}
	a.process(nil)
	if h.eof && h.calls.empty() && a.err == nil {
		h.eof = false
		a.endInput()
	}
}
