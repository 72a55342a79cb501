package rpc

import (
	"github.com/valyala/bytebufferpool"

	"github.com/evfork/evfork/internal/callback"
	"github.com/evfork/evfork/reactor"
)

// loopUpcalls is what upcalls need on the loop of an async server.
type loopUpcalls struct {
	base     timebase
	timer    *reactor.Timer // of the first deadline; nil until there is one
	canceled []Completion   // of calls that CancelParent has ended, and that have not been told
	starved  bool           // a call had no room: OnDrain is owed
}

// GoParent calls the parent from the loop of ServeAsync: with a STRING list of arguments. It
// queues the call and returns; done is called once, on the loop, with the reply, which is
// a view, or with the error that ended the call: a *RemoteError of the parent's handler, or
// a *LostError that is ErrShutdown if the parent has closed its side, being gone or
// shut down. A nil done ignores how the call ends.
//
// An error of GoParent itself means that the call was not made: ErrFull if as many are open as
// the parent takes, if its hello has not come, or if it does not read (ServerConfig.OnDrain tells
// when to go on), ErrNoCalls if it takes none, or the server is another one, ErrShutdown,
// ErrTooLarge, and a *LostError if the server has failed.
func (s *Server) GoParent(done func(reply Payload, err error), args ...string) error {
	b := bytebufferpool.Get()
	defer bytebufferpool.Put(b)
	b.B = AppendStrings(b.B, args...)
	return s.GoParentBytes(done, b.B)
}

// GoParentBytes is GoParent with a payload that has been encoded already; it is
// copied.
func (s *Server) GoParentBytes(done func(reply Payload, err error), payload []byte) error {
	_, err := s.GoParentWith(callbackFunc(done), CallOptions{}, payload)
	return err
}

// GoParentWith is GoParentBytes with an interface instead of a func, with options, and tells
// which call it made, for CancelParent. The deadline does not travel: at it the call ends with
// ErrDeadline, and the parent is told that nobody waits. It does not allocate.
func (s *Server) GoParentWith(to Completion, options CallOptions, payload []byte) (CallID, error) {
	u := &s.upcalls
	if err := u.refusal(); err != nil {
		return CallID{}, err
	}
	a := u.async
	switch {
	case a == nil:
		return CallID{}, errNotHere
	case a.err != nil:
		return CallID{}, &LostError{Cause: a.err}
	}
	if !s.greeted || a.full() || !u.tryEnter() {
		u.loop.starved = true
		return CallID{}, ErrFull
	}
	if to == nil {
		to = callbackFunc(nil)
	}
	id, err := u.begin(to, payload)
	if err != nil {
		return CallID{}, err
	}
	a.busy.called()
	if !options.Deadline.IsZero() {
		u.table.schedule(id.id, u.loop.base.at(options.Deadline))
		u.armTimer()
	}
	return id, nil
}

// CancelParent ends a call of GoParentWith with ErrCanceled: its Completion is called on
// the loop, after CancelParent has returned. It reports whether the call was still open.
// The parent is told; until it has answered, the call counts as one of those that it takes.
// It belongs to the loop's goroutine.
func (s *Server) CancelParent(call CallID) bool {
	u := &s.upcalls
	if u.async == nil {
		return false
	}
	to := u.abandon(call)
	if to == nil {
		return false
	}
	u.loop.canceled = append(u.loop.canceled, to)
	if len(u.loop.canceled) == 1 && u.async.loop.Post(u.endCanceled) != nil {
		u.endCanceled() // no callback comes later: the loop is being closed
	}
	return true
}

// serveAsync tells that the server is one.
func (u *upcalls) serveAsync(a *asyncServer) {
	u.serves(servingOneGoroutine)
	u.async = a
	u.loop.base = newTimebase(a.loop.Now())
	u.onOpen = a.readOn
}

// complete tells the caller how a call has ended.
func (u *upcalls) complete(to Completion, reply Payload, err error) {
	a := u.async
	if a == nil || to == Completion(abandoned{}) {
		to.Complete(reply, err)
		return
	}
	a.busy.answered()
	defer a.checkBusy()
	to.Complete(reply, err)
}

// endCanceled tells those whose calls were cancelled.
func (u *upcalls) endCanceled() {
	defer func() { u.loop.canceled = nil }()
	callback.All(&u.loop.canceled, func(to Completion) { u.complete(to, nil, ErrCanceled) })
}

// tellRoom has OnDrain called if a call has had no room, and now may have.
func (u *upcalls) tellRoom() {
	if !u.loop.starved {
		return
	}
	u.loop.starved = false
	if fn := u.server.config.OnDrain; fn != nil {
		fn()
	}
}

// armTimer has expire called when the first call's time has come.
func (u *upcalls) armTimer() {
	first, any := u.table.first()
	if !any {
		return
	}
	loop := u.async.loop
	d := max(first.at-u.loop.base.at(u.loop.base.now(loop)), 0)
	if u.loop.timer == nil {
		u.loop.timer = loop.AfterFunc(d, u.expire)
		u.loop.timer.Unref() // the stream keeps the loop running
	} else {
		u.loop.timer.Reset(d)
	}
}

// expire ends the calls whose deadlines have passed.
func (u *upcalls) expire() {
	defer u.armTimer() // also if a callback panics
	now := u.loop.base.at(u.async.loop.Now())
	for {
		first, any := u.table.first()
		if !any || first.at > now {
			return
		}
		to := u.abandon(CallID{first.id, u.table.entry(first.id).end})
		u.complete(to, nil, ErrDeadline)
	}
}

// endUpcalls is the end of the server, and why.
func (a *asyncServer) endUpcalls(why error) {
	if t := a.upcalls.loop.timer; t != nil {
		t.Stop()
	}
	callback.InTurn(func() { a.upcalls.end(why) }, a.upcalls.endCanceled)
}
