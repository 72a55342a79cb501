package rpc

// held is the input that an async server has read and not yet looked at, because
// so many calls run, or so many replies wait to be written, that no other may begin.
// It reads on to a limit, for the sake of the cancels behind the calls.
type held struct {
	active bool
	data   []byte
	unseen int  // bytes at its end that sift has not looked at
	eof    bool // it came behind the data
	posted bool // goOn is on its way
	ahead  lookahead
}

// stalled reports whether no call may begin now.
func (a *asyncServer) stalled() bool {
	limit := a.config.MaxConcurrent
	calls, size := a.order.waiting()
	return a.stream.Congested() || size >= a.maxBuffered() || limit > 0 && a.open.count+calls >= limit
}

// hold keeps what the decoder has not looked at. It may have been held before.
func (a *asyncServer) hold() {
	h := &a.held
	again := h.active
	h.active = true
	if again {
		h.data = a.decoder.in
		a.decoder.in = nil
	} else {
		h.data = a.decoder.takeUnfinished(h.data[:0])
		a.ahead(h.data, true)
		h.unseen = len(h.data)
	}
	a.siftHeld()
	a.readOn()
}

// siftHeld has the frames take effect that are for running handlers.
func (a *asyncServer) siftHeld() {
	if a.config.Wire != Evfork || !a.greeted || a.err != nil {
		return
	}
	h := &a.held
	var err error
	if h.data, h.unseen, err = a.sift(h.data, min(h.unseen, len(h.data))); err != nil {
		a.fail(err)
	}
}

// keep is onData while input is held.
func (a *asyncServer) keep(data []byte) {
	a.held.data = append(a.held.data, data...)
	a.held.unseen += len(data)
	a.ahead(data, false)
	a.siftHeld()
	a.readOn()
}

// readOn reads on while there is room, or answers of the parent are to come.
func (a *asyncServer) readOn() {
	if a.err != nil {
		return
	}
	waiting := len(a.held.data)
	if waiting >= maxBacklog && !a.upcalls.anyOpen() || a.stream.Congested() {
		a.stream.Pause() // let the pipe push back
	} else {
		a.stream.Resume()
	}
	a.holdOrGoOn(waiting)
}

// holdOrGoOn has the parent hold calls back while many wait.
func (a *asyncServer) holdOrGoOn(waiting int) {
	if !a.wantsHold(waiting) {
		return
	}
	if err := a.tellHold(); err != nil {
		a.fail(err)
	}
}

// ahead has the cancels in what is held take effect: those of calls that run at
// once, the others when their calls' turn comes.
func (a *asyncServer) ahead(data []byte, first bool) {
	if a.config.Wire != Evfork {
		return
	}
	l := &a.held.ahead
	if first {
		l.have, l.skip = 0, 0
	}
	for _, id := range l.scan(data) {
		a.cancelCall(id)
	}
}

// mayGoOn has what is held looked at, in the next iteration, if calls may begin again.
func (a *asyncServer) mayGoOn() {
	if a.held.active && !a.held.posted && a.err == nil && !a.stalled() {
		a.held.posted = a.loop.Post(a.goOnFunc) == nil
	}
}

func (a *asyncServer) goOn() {
	h := &a.held
	h.posted = false
	if !h.active || a.err != nil || a.stalled() {
		return
	}
	a.process(h.data)
	if a.held.active || a.err != nil {
		return
	}
	if cap(h.data) > 2*maxBacklog {
		h.data = nil
	}
	a.holdOrGoOn(0)
	if h.eof {
		a.onEOF()
		return
	}
	a.stream.Resume()
}
