package rpc

import "slices"

// maxBacklog is how many bytes of calls may wait for their turn in a server, while
// it reads on for the sake of the frames behind them.
const maxBacklog = 1 << 20

// callOverhead is what a waiting call costs besides its request.
const callOverhead = 256

// waitingCall is a call that a server has read and not begun.
type waitingCall interface {
	comparable
	number() uint32 // its id
	length() int    // of its request
}

// backlog is the calls that wait in a server, first come, first served.
type backlog[C waitingCall] struct {
	calls []C // from head on
	head  int
	size  int
}

func (b *backlog[C]) empty() bool { return b.head == len(b.calls) }
func (b *backlog[C]) full() bool  { return b.size >= maxBacklog }

func (b *backlog[C]) push(c C) {
	b.calls = append(b.calls, c)
	b.size += c.length() + callOverhead
}

func (b *backlog[C]) pop() C {
	var none C
	c := b.calls[b.head]
	b.calls[b.head] = none
	b.head++
	b.size -= c.length() + callOverhead
	if b.head == len(b.calls) || b.head >= 1024 && 2*b.head >= len(b.calls) {
		rest := copy(b.calls, b.calls[b.head:])
		clear(b.calls[rest:])
		b.calls, b.head = b.calls[:rest], 0
	}
	return c
}

// remove takes the call with an id away, if it waits.
func (b *backlog[C]) remove(id uint32) (c C, ok bool) {
	for i := b.head; i < len(b.calls); i++ {
		if c := b.calls[i]; c.number() == id {
			b.calls = slices.Delete(b.calls, i, i+1)
			b.size -= c.length() + callOverhead
			return c, true
		}
	}
	return c, false
}
