package rpc

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// partsTable is a server's streamed calls, for the frames that follow them. A call stays there
// until it has been answered and the parent has sent the end of its parts: so a frame that
// was underway is told from one for a call that never was.
type partsTable struct {
	mu    sync.Mutex
	calls map[uint32]*callParts
	open  atomic.Int32 // those that have not been answered
}

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
	t.calls[id] = p
	t.open.Add(1)
	return p, nil
}

func (t *partsTable) find(id uint32) *callParts {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.calls[id]
}

// breakOff ends what waits for credit or parts, when no frame is taken any more: no call is entered after it.
func (t *partsTable) breakOff(why error) {
	t.mu.Lock()
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

// forget takes the call out of the table: no frame for it follows.
func (p *callParts) forget() {
	t := &p.server.partsTable
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.calls[p.id] == p { // not if a plain call has the id, or one before had
		delete(t.calls, p.id)
	}
}
