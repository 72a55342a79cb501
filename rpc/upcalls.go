package rpc

import (
	"sync"

	"github.com/evfork/evfork/internal/callback"
	"github.com/evfork/evfork/internal/wrap"
)

// Upcalls are the calls that a child makes to its parent. Their ids are of the
// child's own space. The parent's hello says how many may be without an answer at a
// time, so that what it owes is bounded: it never stops reading, whatever its own
// writes do.

// errNotHere is returned by what cannot be used under a server, or outside its handlers.
var errNotHere = wrap.Error("rpc: the parent takes no calls from here", ErrNoCalls)

// errInputEnded is why a child can make no calls any more: the parent could not answer.
var errInputEnded = wrap.Error("rpc: client is shut down: the parent has closed its side", ErrShutdown)

// upcalls are those of one child that have been made and not answered. All servers
// use them; what is called back by its Completions is the server's matter.
type upcalls struct {
	server  *Server
	granted chan struct{} // closed when room exists
	over    chan struct{} // closed by end

	async  *asyncServer // nil under the other servers; the loop's own
	onOpen func()       // a call is open, perhaps the first; nil: nothing

	mu      sync.Mutex
	mode    serveMode
	table   callTable
	serial  uint64        // of the last call
	room    chan struct{} // as long as calls may be open, with an element for each that is
	refused error         // why none can be made; nil while they can

	loop loopUpcalls // of the async server
}

// serveMode is which server a Server is.
type serveMode uint8

const (
	notServing serveMode = iota
	servingOneGoroutine
	servingGoroutines // any goroutine may wait
)

func (u *upcalls) serves(mode serveMode) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.mode = mode
}

func (u *upcalls) init(s *Server) {
	u.server = s
	u.granted, u.over = make(chan struct{}), make(chan struct{})
	u.table = newCallTable(Evfork)
}

// grant is what the parent's hello says.
func (u *upcalls) grant(calls int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.room = make(chan struct{}, calls)
	if calls == 0 && u.refused == nil {
		u.refused = ErrNoCalls
	}
	close(u.granted)
}

// refusal is why no call can be made, or nil.
func (u *upcalls) refusal() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.refused
}

// anyOpen reports whether answers are to come.
func (u *upcalls) anyOpen() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.table.count > 0
}

// mayWait is why a goroutine that is no handler's may not wait, or nil.
func (u *upcalls) mayWait() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.refused == nil && u.mode == servingOneGoroutine {
		return errNotHere
	}
	return u.refused
}

// tryEnter takes the room for a call, after grant, if there is any.
func (u *upcalls) tryEnter() bool {
	select {
	case u.room <- struct{}{}:
		return true
	default:
		return false
	}
}

// leave gives the room of a call back.
func (u *upcalls) leave() { <-u.room }

// begin makes a call for which there is room, and which has none any more if it fails.
func (u *upcalls) begin(to Completion, payload []byte) (CallID, error) {
	id, err := u.add(to)
	if err != nil {
		u.leave()
		return CallID{}, err
	}
	if u.onOpen != nil {
		u.onOpen()
	}
	err = u.server.send(kindUpcall.word(id.id), payload, true)
	if err == nil || !u.takeBack(id) {
		return id, nil
	}
	u.leave()
	if err != ErrTooLarge {
		err = &LostError{Cause: err}
	}
	return CallID{}, err
}

// takeBack takes a call away that was not sent; false if it has ended meanwhile, with the
// server, or by an answer that nobody owed.
func (u *upcalls) takeBack(id CallID) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if e := u.table.find(id.id); e == nil || e.end != id.end {
		return false
	}
	u.table.take(id.id)
	return true
}

func (u *upcalls) add(to Completion) (CallID, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.refused != nil {
		return CallID{}, u.refused
	}
	id := u.table.reserve()
	u.serial++
	u.table.add(id, to, u.serial)
	return CallID{id, u.serial}, nil
}

// answered ends a call with a frame of the parent, a reply or an error reply.
func (u *upcalls) answered(k kind, id uint32, payload Payload) error {
	u.mu.Lock()
	to := u.table.take(id)
	u.mu.Unlock()
	if to == nil {
		return violation("the parent sent a frame of kind %d with id %d, and no such call is open", k, id)
	}
	u.leave()
	if k == kindError {
		u.complete(to, nil, decodeRemoteError(payload, u.server.config.Sentinels))
	} else {
		u.complete(to, payload, nil)
	}
	u.tellRoom()
	return nil
}

// abandon ends a call without an answer, and tells the parent. It returns nil if
// the call has ended before.
func (u *upcalls) abandon(id CallID) Completion {
	u.mu.Lock()
	e := u.table.find(id.id)
	if e == nil || e.end != id.end || e.isAbandoned() {
		u.mu.Unlock()
		return nil
	}
	to := u.table.abandon(e)
	u.mu.Unlock()
	// If it cannot be sent the server ends, and hears of that elsewhere.
	_ = u.server.send(kindCancel.word(id.id), nil, true)
	return to
}

// end ends all calls: the parent can answer no more, and why.
func (u *upcalls) end(why error) {
	u.mu.Lock()
	select {
	case <-u.over:
		u.mu.Unlock()
		return
	default:
	}
	if u.refused == nil {
		u.refused = refusalBy(why)
	}
	lost := u.table.drain()
	close(u.over)
	u.mu.Unlock()
	err := &LostError{Cause: why, Started: true}
	callback.InTurn(
		func() { callback.All(&lost, func(l call) { u.complete(l.to, nil, err) }) },
		u.tellRoom, // whoever waits for room is told why there is none
	)
}

// refusalBy is what calls are refused with after the end: ErrShutdown if the parent has only closed its side.
func refusalBy(why error) error {
	if why == errInputEnded {
		return why
	}
	return &LostError{Cause: why}
}
