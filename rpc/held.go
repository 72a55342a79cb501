package rpc

// held is the calls that an async server has read and not begun, because so many calls
// run, or so many replies wait to be written, that no other may begin. It reads on to a
// limit, for the sake of the frames behind them that are about the calls which run.
type held struct {
	calls  backlog[*heldCall]
	eof    bool        // it came behind them
	posted bool        // goOn is on its way
	chunk  []byte      // where the requests are copied to, one behind the other
	free   []*heldCall // to be used again
}

// heldChunk is how large a chunk is, unless one request is larger.
const heldChunk = 64 << 10

// freeKept is how many records are kept while no call is held.
const freeKept = 64

// heldCall is a call with a copy of its request.
type heldCall struct{ call incoming }

// number and length implement waitingCall.
func (h *heldCall) number() uint32 { return h.call.id }
func (h *heldCall) length() int    { return len(h.call.payload) }

// stalled reports whether no call may begin now.
func (a *asyncServer) stalled() bool {
	limit := a.config.MaxConcurrent
	calls, size := a.order.waiting()
	return a.stream.Congested() || size >= a.maxBuffered() || limit > 0 && a.open.count+calls >= limit
}

// hold keeps a call for later.
func (a *asyncServer) hold(call *incoming) {
	s := &a.held
	if cap(s.chunk)-len(s.chunk) < len(call.payload) {
		s.chunk = make([]byte, 0, max(heldChunk, len(call.payload)))
	}
	start := len(s.chunk)
	s.chunk = append(s.chunk, call.payload...)
	var h *heldCall
	if last := len(s.free) - 1; last >= 0 {
		h, s.free = s.free[last], s.free[:last]
	} else {
		h = &heldCall{}
	}
	h.call = *call
	h.call.payload = s.chunk[start:len(s.chunk):len(s.chunk)]
	s.calls.push(h)
}

// release has a call that is not held any more used again.
func (s *held) release(h *heldCall) {
	*h = heldCall{}
	if s.free = append(s.free, h); s.calls.empty() {
		s.chunk = nil
		if len(s.free) > freeKept {
			s.free = nil
		}
	}
}

// takeHeld returns the call that may begin now; nil if there is none.
func (a *asyncServer) takeHeld() *heldCall {
	if a.held.calls.empty() || a.stalled() {
		return nil
	}
	return a.held.calls.pop()
}

// dropHeld answers a call that is not begun.
func (a *asyncServer) dropHeld(call *incoming, why error) {
	call.parts.over()
	if _, err := a.answerInTurn(call.id, nil, why, true); err != nil {
		a.fail(err)
	}
}

// cancelHeld drops a call that waits, if it does.
func (a *asyncServer) cancelHeld(id uint32) {
	if h, ok := a.held.calls.remove(id); ok {
		a.dropHeld(&h.call, ErrCanceled)
		a.held.release(h)
		a.mayGoOn()
	}
}

// readOn reads on while there is room, or handlers may be waiting for what comes behind; else it
// lets the pipe push back.
func (a *asyncServer) readOn() {
	if a.err != nil {
		return
	}
	if a.stream.Congested() || a.held.calls.full() && !a.mustReadOn() {
		a.stream.Pause()
	} else {
		a.stream.Resume()
	}
	if a.wantsHold(a.held.calls.size) {
		if err := a.tellHold(); err != nil {
			a.fail(err)
		}
	}
}

// mayGoOn has the calls that are held begun, in the next iteration, if calls may begin again.
func (a *asyncServer) mayGoOn() {
	h := &a.held
	waits := !h.calls.empty()
	if h.posted || a.err != nil || !waits && !h.eof || waits && a.stalled() {
		return
	}
	h.posted = a.loop.Post(a.goOnFunc) == nil
}

func (a *asyncServer) goOn() {
	h := &a.held
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
