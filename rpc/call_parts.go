package rpc

import (
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

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

// partsTable is a server's streamed calls, for the frames that follow them. A call stays there
// until it has been answered and the parent has sent the end of its parts: so a frame that
// was underway is told from one for a call that never was.
type partsTable struct {
	mu    sync.Mutex
	calls map[uint32]*callParts
	gone  error        // nothing comes any more
	open  atomic.Int32 // those that have not been answered
}

// mustReadOn reports whether handlers may be waiting for what comes behind other calls.
func (s *Server) mustReadOn() bool { return s.partsTable.open.Load() > 0 || s.upcalls.anyOpen() }

// errParentLeft is how the waiting for credit or parts ends when the parent has closed
// its side.
var errParentLeft = wrap.Error("rpc: the parent has closed its side: unexpected EOF", io.ErrUnexpectedEOF)

// addParts enters a streamed call.
func (s *Server) addParts(id uint32, m *metadata) (*callParts, error) {
	p := &callParts{
		server: s, id: id, limited: m.limited, input: m.input, credit: m.window, left: s.hello.window, ended: !m.input,
		credited: make(chan struct{}, 1), arrived: make(chan struct{}, 1),
	}
	t := &s.partsTable
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.calls[id] != nil {
		return nil, violation("the parent made a second call %d", id)
	}
	if t.calls == nil {
		t.calls = map[uint32]*callParts{}
	}
	p.broken = t.gone
	t.calls[id] = p
	t.open.Add(1)
	return p, nil
}

func (t *partsTable) find(id uint32) *callParts {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.calls[id]
}

// breakOff ends what waits for credit or parts.
func (t *partsTable) breakOff(why error) {
	t.mu.Lock()
	t.gone = why
	calls := slices.Collect(maps.Values(t.calls))
	t.mu.Unlock()
	for _, p := range calls {
		p.mu.Lock()
		p.broken = why
		p.mu.Unlock()
		signal(p.credited)
		signal(p.arrived)
	}
}

// over is the end of a call, by its answer. p may be nil.
func (p *callParts) over() {
	if p == nil {
		return
	}
	p.mu.Lock()
	if !p.answered {
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

// forget takes the call out of the table: no frame for it follows.
func (p *callParts) forget() {
	t := &p.server.partsTable
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.calls[p.id] == p { // not if a plain call has the id, or one before had
		delete(t.calls, p.id)
	}
}

// acceptCredit takes a credit; the call may have been answered, and is nil then.
func (s *Server) acceptCredit(id uint32, payload Payload) (*callParts, error) {
	n, err := parseCredit(id, payload)
	p := s.partsTable.find(id)
	if err != nil || p == nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.credit = addCredit(p.credit, n)
	signal(p.credited)
	return p, nil
}

// acceptPart takes a part of a request, or its end.
func (s *Server) acceptPart(k kind, id uint32, payload Payload) (*callParts, error) {
	p := s.partsTable.find(id)
	if p == nil || !p.input {
		return nil, violation("the parent sent a part of call %d, which takes none", id)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	defer signal(p.arrived)
	switch {
	case p.ended:
		return nil, violation("the parent sent a part of call %d behind their end", id)
	case k == kindPartsEnd:
		p.ended = true
		if p.answered {
			p.forget()
		}
	case p.answered: // it was underway
	case p.left <= 0:
		return nil, violation("the parent sent a part of call %d, whose credit is used up", id)
	default:
		p.left -= partCost(len(payload))
		p.queue.push(payload)
	}
	return p, nil
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
