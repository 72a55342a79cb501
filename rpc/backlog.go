package rpc

import "slices"

// maxBacklog is how many bytes of calls may wait for their turn in a server, while
// it reads on for the sake of the cancels behind them.
const maxBacklog = 1 << 20

// callOverhead is what a waiting call costs besides its request.
const callOverhead = 256

// backlog is the calls that wait in a goroutineServer, first come, first served.
type backlog struct {
	calls []*goroutineCall // from head on
	head  int
	size  int
}

func (b *backlog) empty() bool { return b.head == len(b.calls) }
func (b *backlog) full() bool  { return b.size >= maxBacklog }

func (b *backlog) push(c *goroutineCall) {
	b.calls = append(b.calls, c)
	b.size += len(*c.request) + callOverhead
}

func (b *backlog) pop() *goroutineCall {
	c := b.calls[b.head]
	b.calls[b.head] = nil
	b.head++
	b.size -= len(*c.request) + callOverhead
	if b.head == len(b.calls) || b.head >= 1024 && 2*b.head >= len(b.calls) {
		rest := copy(b.calls, b.calls[b.head:])
		clear(b.calls[rest:])
		b.calls, b.head = b.calls[:rest], 0
	}
	return c
}

// remove takes the call with an id away; nil if it does not wait.
func (b *backlog) remove(id uint32) *goroutineCall {
	for i := b.head; i < len(b.calls); i++ {
		if c := b.calls[i]; c.id == id {
			b.calls = slices.Delete(b.calls, i, i+1)
			b.size -= len(*c.request) + callOverhead
			return c
		}
	}
	return nil
}
