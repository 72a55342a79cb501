package rpc

import (
	"io"
	"sync"

	"github.com/evfork/evfork/internal/wrap"
)

// callParts is a streamed call in a server: the credit for the parts of its reply, and
// the parts of its request that wait. A handler and a reader may use it at once.
type callParts struct {
	server  *Server
	id      uint32
	limited bool // parts of the reply run on credit
	input   bool // parts of the request come

	mu       sync.Mutex
	answered bool
	broken   error // why nothing comes any more

	credit   int64
	credited chan struct{} // of capacity 1: credit has come

	queue   partQueue
	left    int64         // credit of the parent, for more of them
	taken   int64         // done with, and not granted again
	ended   bool          // no more come
	arrived chan struct{} // of capacity 1: a part, or the end, has come

	async asyncParts
}

// errParentLeft is how the waiting for credit or parts ends when the parent has closed
// its side.
var errParentLeft = wrap.Error("rpc: the parent has closed its side: unexpected EOF", io.ErrUnexpectedEOF)

// streamed reports whether the call is a streamed one. A plain call has parts only because its
// handler has asked for them (Done.OnParts): nothing comes for it, and it is not in the table.
func (p *callParts) streamed() bool { return p.limited || p.input }

// over is the end of a call, by its answer. p may be nil.
func (p *callParts) over() {
	if p == nil {
		return
	}
	p.mu.Lock()
	if !p.answered && p.streamed() {
		p.server.partsTable.open.Add(-1)
	}
	p.answered = true
	p.queue.clear()
	ended := p.ended
	p.mu.Unlock()
	signal(p.credited)
	signal(p.arrived)
	if ended {
		p.forget()
	}
}

// takeCredit takes the credit for a part, if there is any.
func (p *callParts) takeCredit(cost int64) (ok bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.answered:
		return false, ErrDone
	case !p.limited:
		return true, nil
	case p.credit > 0:
		p.credit -= cost
		if p.credit > 0 {
			signal(p.credited) // another may wait, too
		}
		return true, nil
	case p.broken != nil:
		signal(p.credited)
		return false, p.broken
	}
	return false, nil
}

// next takes the next part of the request. Without one, ended says that none follows; else
// one has to be waited for.
func (p *callParts) next() (part Payload, ok, ended bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.answered:
		return nil, false, false, ErrDone
	case !p.queue.empty():
		return p.queue.pop(), true, false, nil
	case p.ended:
		return nil, false, true, nil
	case p.broken != nil:
		return nil, false, false, p.broken
	}
	return nil, false, false, nil
}

// took grants the parent again what was done with, when that is worth it.
func (p *callParts) took(cost int64) error {
	p.mu.Lock()
	p.taken += cost
	n := p.taken
	if p.ended || p.answered || !worthGranting(n, p.server.hello.window) {
		p.mu.Unlock()
		return nil
	}
	p.taken = 0
	p.left = addCredit(p.left, n)
	p.mu.Unlock()
	var payload [creditSize]byte
	return p.server.send(kindCredit.word(p.id), appendCredit(payload[:0], n), true)
}

// hasCredit reports whether sending a part would not have to wait.
func (p *callParts) hasCredit() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.limited || p.credit > 0 || p.broken != nil
}

// lacksInput returns why the end of the request's parts will not come; nil if it has come, or may.
func (p *callParts) lacksInput() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return nil
	}
	return p.broken
}
