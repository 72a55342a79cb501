package rpc

import "sync"

// streamNews brings the wishes of goroutines to the loop: any number of streams
// are one post.
type streamNews struct {
	client *Client
	take   func() // takeNews as a func, made once

	mu     sync.Mutex
	list   []*Stream
	spare  []*Stream // the other half of the double buffer
	posted bool      // take is on its way
}

func (n *streamNews) init(c *Client) {
	n.client = c
	n.take = n.takeNews
}

// tell has the loop look after a stream. After the end of the loop nobody does, and
// nobody need.
func (n *streamNews) tell(s *Stream) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.told || !n.posted && n.client.loop.Post(n.take) != nil {
		return
	}
	n.posted, s.told = true, true
	n.list = append(n.list, s)
}

func (n *streamNews) takeNews() {
	n.mu.Lock()
	list := n.list
	n.list, n.spare = n.spare, nil
	n.posted = false
	for _, s := range list {
		s.told = false
	}
	n.mu.Unlock()
	for i, s := range list {
		list[i] = nil
		(*goroutineEnd)(s).mayGoOn()
	}
	n.mu.Lock()
	if n.spare == nil {
		n.spare = list[:0]
	}
	n.mu.Unlock()
	n.client.queue.sweep()
	n.client.callsOver()
}

// mayGoOn does what the stream's goroutine wants done.
func (e *goroutineEnd) mayGoOn() {
	s := (*Stream)(e)
	c := &s.call
	if !c.live() {
		if c.client == nil && s.hasEnded() { // before the call was made: it waits for room, or did
			s.client.queue.stale++
		}
		return
	}
	s.mu.Lock()
	ended := s.ended
	if !ended {
		s.catchUp()
	}
	s.mu.Unlock()
	if ended { // by its goroutine, or its ctx
		s.client.abandon(s.client.calls.entry(c.id)).Complete(nil, ErrCanceled)
	}
}

// catchUp grants what was taken and sends what is there to be sent.
func (s *Stream) catchUp() {
	c := &s.call
	taken := s.taken
	s.taken = 0
	c.done(taken)
	for !s.out.empty() && c.send(s.out.front()) == nil {
		s.out.pop()
	}
	c.ending = c.meta.input && s.closed && s.out.empty()
	c.endInput()
	if c.started {
		s.room = min(c.room, sendAhead) - s.out.cost
	}
	if s.room > 0 {
		s.client.loop.Yielding()
		s.changed.Broadcast()
	}
}
