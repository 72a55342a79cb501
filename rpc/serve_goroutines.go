package rpc

import (
	"cmp"
	"context"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/yield"
)

// defaultGoroutines is the limit of ServeGoroutines unless given.
const defaultGoroutines = 1024

// ServeGoroutines answers each call on a goroutine that has no other meanwhile, at most
// limit at a time (0: 1024); beyond that up to 1 MiB of calls wait, for the sake of the
// cancels behind them, and then it stops reading, and the pipe pushes back. Replies leave in the
// order of completion, promptly, unless ServerConfig.FlushEach says that they may wait a
// moment for others. It returns like ServeSync, after the last handler has. Calls that were
// cancelled, or whose deadline has passed, while they waited are not handled.
func ServeGoroutines(fds FDs, handler Handler, limit int) error {
	s, err := NewServer(fds, ServerConfig{})
	if err != nil {
		return err
	}
	return s.ServeGoroutines(handler, limit)
}

// ServeGoroutines is the function of the same name for a server with a
// configuration.
func (s *Server) ServeGoroutines(handler Handler, limit int) error {
	if limit <= 0 {
		limit = defaultGoroutines
	}
	// One of the reader's own: whoever closes the other when this has returned, upon which it may be another file's, does not
	// have a reader that is left over read from that.
	fd, err := unix.FcntlInt(uintptr(s.readFD), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return &readError{err}
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	g := &goroutineServer{Server: s, handler: handler, limit: limit, ctx: ctx, cancel: cancel}
	g.change.L = &g.mu
	s.upcalls.onOpen = g.readOn
	s.upcalls.serves(servingGoroutines)
	g.runners.pace = newPace(s.config.FlushEach, nil)
	read := make(chan error, 1)
	go func() {
		err := g.readCalls(fd)
		if err != nil {
			g.fail(err)
		}
		g.partsTable.breakOff(cmp.Or(err, errParentLeft))
		read <- err
	}()
	select {
	case err = <-read:
	case <-ctx.Done():
		// The reader may be blocked until the parent writes or closes. It is not
		// waited for, and begins no call any more.
	}
	g.endUpcalls()
	g.wait()
	if err == nil {
		err = context.Cause(ctx)
	}
	return s.finish(s.flushed(err))
}

// endUpcalls ends the calls to the parent, before the handlers that wait for them are
// waited for.
func (g *goroutineServer) endUpcalls() {
	why := context.Cause(g.ctx)
	if why == nil {
		why = errInputEnded
	}
	g.upcalls.end(why)
}

type goroutineServer struct {
	*Server
	handler Handler
	limit   int
	ctx     context.Context // ended by the first error
	cancel  context.CancelCauseFunc
	pool    sync.Pool // of *[]byte, requests

	mu      sync.Mutex
	change  sync.Cond // a runner has ended, or the backlog is shorter
	ended   bool      // no call is begun any more
	running []*goroutineCall
	waiting int // calls that are done, but whose replies wait for their turn
	backlog backlog[*goroutineCall]
	runners goroutineRunners
}

// yieldsOnce is the reader's: with several CPUs another can have the runner that is left over.
func yieldsOnce() bool { return !yield.OneCPU }

// keepFrom waits for the reader's next input without lending the processor, if that is better and nobody of the
// server's has anything to do. It returns when it was called, which for the next call is last.
func (g *goroutineServer) keepFrom(last time.Time, fd int) time.Time {
	now := time.Now()
	g.mu.Lock()
	r := &g.runners
	idle, own := !r.coming && r.count == len(r.idle), r.count+2 // the reader, and who has called ServeGoroutines
	g.mu.Unlock()
	if idle && yield.Keep(now.Sub(last), own) {
		yield.Await(fd)
	}
	return now
}

// readCalls closes fd.
func (g *goroutineServer) readCalls(fd int) error {
	defer unix.Close(fd)
	reader := g.newReader(fd)
	var last time.Time // it was read, with one CPU
	for g.ctx.Err() == nil {
		yield.ToOthers(yieldsOnce) // runners that have been woken
		if yield.OneCPU {
			last = g.keepFrom(last, fd)
		}
		more, err := reader.read()
		if !more || err != nil {
			return err
		}
		for reader.decoder.next() {
			var call incoming
			k, err := g.accept(reader.decoder.word, reader.decoder.payload, &call)
			if err != nil {
				return err
			}
			switch k {
			case kindCall:
				g.writer.waitForRoom()
				g.begin(&call)
			case kindCancel:
				g.cancelCall(call.id)
			}
		}
		if reader.decoder.err != nil {
			return reader.decoder.err
		}
	}
	return nil
}

// begin has a call wait for a runner. It returns when the backlog has room for
// another, or must be exceeded.
func (g *goroutineServer) begin(call *incoming) {
	// It is not used again: a goroutine that the handler has left behind may still have the ctx.
	c := &goroutineCall{server: g, id: call.id, request: g.copyOf(call.payload), parts: call.parts}
	c.parent, c.deadline = g.ctx, call.deadline
	if g.take(c) {
		g.tell()
	}
}

// take takes a call for begin, and reports whether there is something to tell the parent.
func (g *goroutineServer) take(c *goroutineCall) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended {
		return false
	}
	g.backlog.push(c)
	g.bring()
	// What handlers wait for may be behind it.
	for g.backlog.full() && !g.ended && !g.mustReadOn() {
		g.change.Wait()
	}
	return g.updateHold(g.backlog.size)
}

// tell has the parent know whether to hold calls back. Who can be told has parts or answers to send, and so reads while it writes.
func (g *goroutineServer) tell() {
	if err := g.tellHold(); err != nil {
		g.fail(err)
	}
}

// fail ends what runs, because of an error, and has no call begun any more: a runner whose handler ends with its
// ctx would take the next before wait is called.
func (g *goroutineServer) fail(err error) {
	g.mu.Lock()
	g.ended = true
	g.mu.Unlock()
	g.cancel(err)
}

// readOn is for a call to the parent that has been opened: see take.
func (g *goroutineServer) readOn() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.change.Broadcast()
}

// copyOf copies a request into a buffer that is used again when the handler
// has returned.
func (g *goroutineServer) copyOf(request Payload) *[]byte {
	buf, _ := g.pool.Get().(*[]byte)
	if buf == nil {
		buf = new([]byte)
	}
	*buf = append((*buf)[:0], request...)
	return buf
}

func (g *goroutineServer) enter(c *goroutineCall) {
	c.place = len(g.running)
	g.running = append(g.running, c)
}

// leave is the end of a call, with over as answerInTurn returned it.
func (g *goroutineServer) leave(c *goroutineCall, over int) {
	last := len(g.running) - 1
	g.running[c.place] = g.running[last]
	g.running[c.place].place = c.place
	g.running[last] = nil
	g.running = g.running[:last]
	g.waiting += 1 - over
}

// room reports whether another call may begin.
func (g *goroutineServer) room() bool { return len(g.running)+g.waiting < g.limit }

func (g *goroutineServer) recycle(c *goroutineCall) {
	if cap(*c.request) <= bufferKept {
		g.pool.Put(c.request)
	}
	c.request = nil
}

// invoke calls the handler, if somebody still waits for the call.
func (g *goroutineServer) invoke(c *goroutineCall) (reply Payload, err error) {
	if isPast(c.deadline) {
		return nil, ErrDeadline
	}
	returned := false
	var why error
	defer func() {
		if !returned {
			g.lose(c, why) // nothing stops a Goexit
		}
	}()
	reply, err = g.recovering(c, &why)
	returned = true
	return reply, err
}

// recovering calls the handler, turning a panic into an error. It does not return after a Goexit, also if it has recovered a panic
// that a deferred function has begun amid that: so why has the error, too.
func (g *goroutineServer) recovering(c *goroutineCall, why *error) (reply Payload, err error) {
	returned := false
	defer func() {
		if !returned {
			err = notReturned(recover())
			*why = err
		}
	}()
	reply, err = g.handler(c, *c.request)
	returned = true
	return reply, err
}

// cancelCall ends the ctx of a running call, or takes a waiting one away. A call
// that is not there has been answered, and so may one be that has not left: then another may have its id.
func (g *goroutineServer) cancelCall(id uint32) {
	g.mu.Lock()
	for _, c := range g.running {
		if c.id == id {
			c.end()
		}
	}
	c, ok := g.backlog.remove(id)
	if ok {
		g.runners.count++ // that is, dropped
	}
	tell := g.updateHold(g.backlog.size)
	g.mu.Unlock()
	if tell {
		g.tell()
	}
	if ok {
		g.recycle(c)
		c.parts.over()
		go g.dropped(id)
	}
}

// dropped answers a call that was cancelled while it waited, on a goroutine of its own. The reader does not wait for the parent to
// read while there is room for replies: a parent may read only when it has written.
func (g *goroutineServer) dropped(id uint32) {
	if err := g.answer(id, nil, ErrCanceled, true); err != nil {
		g.fail(err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.runners.count--
	g.change.Broadcast()
}

// wait waits for the handlers that have been begun: after an orderly end of the
// input also those that will be, after an error no others. Each runner that is left ends behind its handler.
func (g *goroutineServer) wait() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for !g.ended && !g.backlog.empty() {
		g.change.Wait()
	}
	g.ended = true
	g.dismiss()
	g.change.Broadcast()
	for g.runners.count > 0 {
		g.change.Wait()
	}
}
