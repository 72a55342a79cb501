package rpc

import (
	"math"
	"runtime"
	"time"

	"github.com/evfork/evfork/internal/yield"
)

// ServeSync answers calls one at a time, in their order, on the goroutine that
// calls it. It returns nil when the parent has closed its side and every call
// has been answered, and an error when the parent cannot be understood or is
// gone. Before, it waits until all that is queued is written, events of other goroutines included: also for a parent that
// lives and does not read. It needs no loop: reading blocks, and with GOMAXPROCS=1, in a process with no other
// goroutine, keeps the processor for up to 8 ms at a time, by which timers of package time are late then.
//
// Calls that were cancelled, or whose deadline has passed, before their turn are
// not handled. For this it looks 64 kB ahead: a cancel farther behind comes too late.
func ServeSync(fds FDs, handler Handler) error {
	s, err := NewServer(fds, ServerConfig{})
	if err != nil {
		return err
	}
	return s.ServeSync(handler)
}

// ServeSync is the function of the same name for a server with a configuration.
func (s *Server) ServeSync(handler Handler) error {
	y := &syncServer{Server: s, handler: handler, reader: s.newReader(s.readFD), pace: newPace(s.config.FlushEach, s.writer.measure())}
	y.newContext()
	s.upcalls.serves(servingOneGoroutine)
	defer y.closeWaker()
	defer s.upcalls.end(errInputEnded)
	defer s.writer.flush() // behind a handler's Goexit
	for {
		more, err := y.readBatch()
		if !more || err != nil {
			return s.finish(s.flushed(err))
		}
		if s.config.Wire == Evfork {
			y.ahead.scan(y.reader.decoder.in)
		}
		// Also after an error: calls have been answered before it.
		if err = s.flushed(y.serveBatch()); err != nil {
			return err
		}
	}
}

// syncServer is a Server that answers in place.
type syncServer struct {
	*Server
	handler Handler
	reader  frameReader
	ahead   lookahead
	pace    pace
	reads   uint          // for yield.Reads
	begun   time.Duration // when the last batch began, and
	round   time.Duration // how long after the one before: for yield.Keep
	current uint32        // the call that is being handled

	batching bool // replies wait for others, and the time of all is measured together
	calls    int  // measured together so far

	ctx      *syncContext
	handling bool // the handler of current has not returned
	wait     syncWait
}

// readBatch is the read of the main loop, outside handlers: nothing is kept any more.
func (y *syncServer) readBatch() (more bool, err error) {
	w := &y.wait
	w.own = false
	w.unseen = math.MaxInt
	if cap(w.buf) > waitBufferKept {
		w.buf = nil
	}
	if y.hold.told {
		if err := y.holdOrGoOn(); err != nil {
			return false, err
		}
	}
	if y.reads++; yield.OneCPU && y.reads%yield.Reads == 0 {
		runtime.Gosched()
	}
	if yield.Keep(y.round, 1) {
		runtime.Gosched() // timers of package time run then, and are not late by several waits
		yield.Await(y.reader.fd)
	}
	return y.reader.read()
}

// serveBatch answers what one read has brought, and what comes meanwhile. While handlers are
// cheap they are timed together and their replies leave together; else each for itself.
func (y *syncServer) serveBatch() error {
	y.setBatching()
	y.round, y.begun = y.pace.started-y.begun, y.pace.started
	for done := false; !done; {
		var err error
		if done, err = y.serveFrames(); err != nil {
			return err
		}
	}
	if y.batching {
		y.pace.stop(y.calls)
	}
	return y.reader.decoder.err
}

// setBatching decides whether the replies from now on wait for others.
func (y *syncServer) setBatching() {
	y.batching, y.calls = y.pace.batching(), 0
	y.pace.start()
}

// serveFrames answers calls until none is left (done) or a handler panics. One
// deferred function for all of them is cheaper than one for each.
func (y *syncServer) serveFrames() (done bool, err error) {
	defer func() {
		if done {
			return
		}
		why := notReturned(recover())
		y.handled()
		if err = y.answer(y.current, nil, why, true); err == nil {
			err = y.wait.failed
		}
	}()
	d := &y.reader.decoder
	var call incoming
	for d.next() {
		k, err := y.accept(d.word, d.payload, &call)
		if err != nil {
			return true, err
		}
		switch k {
		case kindCall:
			err = y.serveCall(&call)
		case kindCancel:
			y.ahead.passed(call.id)
		}
		if err != nil {
			return true, err
		}
	}
	return true, nil
}

// serveCall answers one call, if somebody still waits for it.
func (y *syncServer) serveCall(call *incoming) error {
	y.calls++
	y.current = call.id
	if call.parts != nil {
		y.wait.unseen = math.MaxInt // its parts may have been read, and kept, while another handler waited
	}
	if y.hold.told {
		if err := y.holdOrGoOn(); err != nil {
			return err
		}
	}
	if y.ahead.has(call.id) {
		call.parts.over()
		return y.answer(call.id, nil, ErrCanceled, !y.batching)
	}
	if call.late() {
		call.parts.over()
		return y.answer(call.id, nil, ErrDeadline, !y.batching)
	}
	if !y.batching {
		y.pace.start()
	}
	y.handling = true
	reply, err := y.handle(call)
	y.handled()
	if y.batching {
		err = y.answer(call.id, reply, err, false)
	} else {
		y.pace.stop(1)
		err = y.answer(call.id, reply, err, true)
		y.lookAhead()   // only now: it moves the request, of which the reply may be a part
		y.setBatching() // a batch that is looked ahead from may never end
	}
	if err == nil {
		err = y.wait.failed
	}
	return err
}

// handle calls the handler, with a ctx that ends at the call's deadline, and when
// it is cancelled while it waits for the parent.
func (y *syncServer) handle(call *incoming) (Payload, error) {
	if !y.ctx.renew(call.deadline) {
		y.newContext()
		y.ctx.deadline = call.deadline
	}
	y.ctx.parts = call.parts
	return y.handler(y.ctx, call.payload)
}

// handled is called when the handler has returned.
func (y *syncServer) handled() {
	y.handling = false
	y.ctx.parts.over()
	y.ctx.finish()
}

// lookAhead looks for cancels of the calls that wait behind a slow one.
func (y *syncServer) lookAhead() {
	waits := len(y.reader.decoder.in)
	if y.config.Wire != Evfork || waits == 0 {
		return
	}
	if data := y.reader.readAhead(); len(data) > 0 {
		y.wait.own = false
		y.wait.unseen = min(y.wait.unseen, waits) + len(data)
		y.noteCancels(data)
	}
}
