package rpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/evfork/evfork/internal/callback"
	"github.com/evfork/evfork/reactor"
)

// AsyncHandler begins to answer a call, on the loop: it calls done, before or
// after it returns, and must not block. The request is a view that is valid
// until the handler returns. It is a child's, under ServeAsync, or a parent's, as Config.OnCall.
type AsyncHandler func(request Payload, done Done)

// ServeAsync runs the loop and has each call begun as soon as it is read, so that any number are in
// progress (ServerConfig.MaxConcurrent limits it); replies go out in the order of their Done. It
// returns nil when the parent has closed its side and every call has been answered and written: the
// busy counter of AnyEvent::Fork::RPC. It returns an error when the parent cannot be understood, after what had been
// answered before was written, for which it waits 30 s at most, or when the parent is gone.
func ServeAsync(fds FDs, loop *reactor.Loop, handler AsyncHandler) error {
	s, err := NewServer(fds, ServerConfig{})
	if err != nil {
		return err
	}
	return s.ServeAsync(loop, handler)
}

// ServeAsync is the function of the same name for a server with a configuration.
func (s *Server) ServeAsync(loop *reactor.Loop, handler AsyncHandler) error {
	a := &asyncServer{Server: s, loop: loop, handler: handler, busy: newBusy()}
	a.pace = newPace(s.config.FlushEach, &a.writes)
	a.limited = s.config.MaxConcurrent > 0 || s.order != nil
	a.decoder = s.newDecoder()
	a.goOnFunc = a.goOn
	stream, err := loop.NewStream(s.readFD, s.writeFD, reactor.StreamConfig{
		OnData:       a.onData,
		OnEOF:        a.onEOF,
		OnDrain:      a.onDrain,
		OnWriteError: func(err error) { a.fail(&writeError{err}) },
		OnClose:      a.onClose,
		HighWater:    s.maxBuffered(),

		EdgeTriggered: true,
	})
	if err != nil {
		return err
	}
	a.stream = stream
	s.out = a
	a.open.owner, a.open.loop = a, loop
	s.upcalls.serveAsync(a)
	defer loop.Hold()() // calls may be open that nothing on the loop knows of
	err = loop.RunUntil(context.Background(), func() bool { return a.ended })
	if err == nil && !a.ended {
		err = errStopped
	}
	stream.Close()
	a.endCalls(err)
	return s.finish(errors.Join(a.err, err))
}

// errStopped is returned by ServeAsync if its loop was stopped.
var errStopped = errors.New("rpc: the loop was stopped while the server was running")

// asyncServer is a Server on a loop.
type asyncServer struct {
	*Server
	loop    *reactor.Loop
	stream  *reactor.Stream
	handler AsyncHandler
	decoder decoder
	busy    busy
	pace    pace
	writes  writingTime // of replies that were not held back
	open    openCalls
	backlog asyncBacklog
	limited bool // calls may have to wait for other calls
	calls   int  // of this read batch, so far
	err     error
	ended   bool

	goOnFunc func() // goOn, made once
}

func (a *asyncServer) onData(data []byte) { a.process(data) }

// process acts on what has waited and on the frames in data.
func (a *asyncServer) process(data []byte) {
	a.calls = 0
	a.pace.start()
	a.decoder.feed(data)
	a.beginRest()
}

// beginRest has all begun that has been read and not looked at.
func (a *asyncServer) beginRest() {
	for !a.beginCalls() {
	}
	a.pace.stop(a.calls)
	if a.decoder.err != nil {
		a.fail(a.decoder.err)
	}
	if a.err == nil {
		a.readOn()
	}
}

func (a *asyncServer) onDrain() {
	a.readOn()
	a.mayGoOn()
	a.partsRoom()
	if a.config.OnDrain != nil {
		a.config.OnDrain()
	}
}

// beginCalls calls the handler for each call that has been read, until none is
// left (done) or a handler panics, which ends its call. A panic after the answer, or of a function that
// is called back with an answer of the parent, is the loop's matter, and goes on
// when the rest has been begun.
// One deferred function for all of them is cheaper than one for each.
func (a *asyncServer) beginCalls() (done bool) {
	var current Done
	var call incoming
	defer func() {
		if done {
			return
		}
		r := recover()
		if (current.open == nil || current.Fail(notReturned(r)) == ErrDone) && r != nil {
			defer panic(r) // nobody else would hear of it
			a.beginRest()
		}
		a.stream.Flush() // the connection may end with this
	}()
	for a.err == nil {
		if !a.backlog.calls.empty() && !a.stalled() {
			h := a.backlog.calls.pop()
			current = a.open.add(h.call.id)
			a.begin(&h.call, current)
			a.backlog.release(h)
			continue
		}
		if !a.decoder.next() {
			break
		}
		current = Done{} // a panic of a function that is called back is not the last call's
		k, err := a.accept(a.decoder.word, a.decoder.payload, &call)
		switch {
		case err != nil:
			a.fail(err)
		case k == kindCall && a.stalled(): // else none waits
			a.keep(&call)
		case k == kindCall:
			current = a.open.add(call.id)
			a.begin(&call, current)
		case k == kindCancel:
			a.cancelCall(call.id)
		case call.parts != nil:
			current = call.parts.async.done
			a.partsCame(k, call.parts)
		}
	}
	return true
}

// begin calls the handler for a call that has just become open.
func (a *asyncServer) begin(call *incoming, done Done) {
	a.calls++
	a.busy.called()
	if call.parts != nil {
		a.open.slots[done.slot].parts = call.parts
	}
	if !call.deadline.IsZero() && a.dropped(done, call) {
		return
	}
	a.handler(call.payload, done)
	if a.pace.doubtful() { // decide anew with each call: the batch may be long
		a.pace.stop(a.calls)
		a.calls = 0
		a.pace.start()
	}
	if p := a.open.slots[done.slot].parts; p != nil { // also a plain call's, whose handler has asked for them
		a.handlerReturned(done, p)
	}
}

// dropped answers a call with a deadline that nobody waits for any more, without beginning
// it. Else it notes the deadline.
func (a *asyncServer) dropped(d Done, call *incoming) bool {
	if call.late() {
		d.Fail(ErrDeadline)
		return true
	}
	d.open.slots[d.slot].deadline = call.deadline
	return false
}

// cancelCall tells an open call that nobody waits for it.
func (a *asyncServer) cancelCall(id uint32) {
	if a.open.find(id) == nil {
		a.cancelKept(id) // or it has been answered
		return
	}
	a.open.cancel(id)
}

// frame is the sink: frames leave at the end of the iteration, or at once.
func (a *asyncServer) frame(word uint32, payload []byte, prompt bool) error {
	err := a.stream.Commit(appendFrame(a.stream.AppendBuffer(), word, payload))
	if prompt && !a.pace.batching() {
		began := time.Now()
		a.stream.Flush()
		a.writes.since(began)
	}
	return err
}

// full is false after a failure: what is sent then is refused.
func (a *asyncServer) full() bool { return a.err == nil && a.stream.Congested() }

// flush is Server.Flush.
func (a *asyncServer) flush() error {
	a.stream.Flush()
	if a.stream.Buffered() > 0 && a.err == nil {
		return ErrFull
	}
	return a.err
}

func (a *asyncServer) onEOF() {
	a.upcalls.end(errInputEnded)
	a.inputEnded()
	a.endInput()
}

// endInput is the end of the input, when all that has come has been begun. A violation is one at once: handlers may wait to hear of it.
func (a *asyncServer) endInput() {
	if n := a.decoder.pending(); n > 0 {
		a.fail(violation("the input ended in the middle of a frame, after %d bytes", n))
		return
	}
	if !a.backlog.calls.empty() {
		a.backlog.eof = true
		return
	}
	a.busy.inputEnded()
	a.checkBusy()
}

// checkBusy ends the server when nothing can come and nothing is owed: what is
// queued is written first.
func (a *asyncServer) checkBusy() {
	if a.busy.idle() {
		a.stream.CloseWrite()
	}
}

func (a *asyncServer) fail(err error) {
	if a.err == nil {
		a.err = err
		a.stream.CloseAfterFlush(0) // calls that were answered before: the parent may read on
		a.stream.Flush()
		a.partsTable.breakOff(&LostError{Cause: err, Started: true})
		_ = a.loop.Post(a.endBegun) // of a loop that is being closed onClose comes at once
	}
}

// endBegun tells the calls that are open that the server has failed, though the end of the stream may take longer.
func (a *asyncServer) endBegun() { a.endCalls(nil) }

func (a *asyncServer) onClose(err error) {
	if a.err == nil && err != nil {
		a.err = fmt.Errorf("rpc: connection to the parent: %w", err)
	}
	defer func() { a.ended = true }() // also if a callback panics
	a.endCalls(nil)
}

// answerOpen implements callOwner.
func (a *asyncServer) answerOpen(id uint32, reply Payload, failure error) error {
	a.busy.answered()
	var err error
	if failure == nil && a.order == nil && uint64(len(reply)) <= uint64(a.maxFrame) {
		err = a.frame(a.config.Wire.replyWord(id), reply, true) // as answerInTurn would, with fewer calls
	} else {
		_, err = a.answerInTurn(id, reply, failure, true)
	}
	if err != nil {
		a.fail(err)
	}
	if a.backlog.any() { // asked here, and below: neither is so in most calls, and a call costs
		a.mayGoOn()
	}
	if a.busy.idle() {
		a.checkBusy()
	}
	return err
}

// endCalls tells those who wait, for the parent or for a cancel, that the server has ended, and why if
// that is not its own error.
func (a *asyncServer) endCalls(why error) {
	why = cmp.Or(a.err, why, errInputEnded)
	callback.InTurn(
		func() { a.endUpcalls(why) },
		func() { a.open.tellAll(&LostError{Cause: why, Started: true}) },
		a.open.endAll,
	)
}
