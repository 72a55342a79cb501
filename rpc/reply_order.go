package rpc

import (
	"sync"

	"github.com/valyala/bytebufferpool"
)

// replyOrder sends the replies of calls that end in any order in the order of
// the calls: on the wire AnyEventSync frames carry no ids, and the n-th reply answers the n-th
// call. Calls are numbered from 1, and wrap around.
type replyOrder struct {
	server *Server
	mu     sync.Mutex
	due    uint32 // whose reply is the next
	held   map[uint32]*bytebufferpool.ByteBuffer
	size   int // of what is held, in bytes
	// failed is the first call that gets no reply. Those behind it get none
	// either: theirs would be taken for its.
	failed  uint32
	failing bool
}

// newReplyOrder returns nil for wires whose replies say what they answer.
func newReplyOrder(s *Server) *replyOrder {
	if s.config.Wire != AnyEventSync {
		return nil
	}
	return &replyOrder{server: s, due: 1, held: map[uint32]*bytebufferpool.ByteBuffer{}}
}

// answerInTurn is answer for servers whose handlers end in any order. It returns
// how many calls are over: on AnyEventSync none while an earlier call has not
// ended, else this one and those that waited for it.
func (s *Server) answerInTurn(id uint32, reply Payload, err error, prompt bool) (over int, _ error) {
	if s.order == nil {
		return 1, s.answer(id, reply, err, prompt)
	}
	return s.order.answer(id, reply, err, prompt)
}

func (o *replyOrder) answer(id uint32, reply Payload, err error, prompt bool) (over int, _ error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failing && after(id, o.failed) {
		return 1, err
	}
	if err == nil && uint64(len(reply)) > uint64(o.server.maxFrame) {
		err = ErrTooLarge // now, not when its turn comes
	}
	if err != nil {
		return 1 + o.fail(id), err
	}
	if id != o.due {
		b := bytebufferpool.Get()
		b.Set(reply)
		o.held[id] = b
		o.size += len(b.B)
		return 0, nil
	}
	if err = o.send(reply, prompt); err != nil {
		return 1 + o.fail(id), err
	}
	n, err := o.release(prompt)
	return 1 + n, err
}

// send sends the reply that is due.
func (o *replyOrder) send(reply Payload, prompt bool) error {
	o.due++
	return o.server.send(syncReply, reply, prompt)
}

// release sends the replies that have waited for the one before.
func (o *replyOrder) release(prompt bool) (sent int, err error) {
	for err == nil {
		id := o.due
		b, ok := o.held[id]
		if !ok {
			break
		}
		err = o.send(b.B, prompt)
		o.drop(id, b)
		sent++
		if err != nil {
			sent += o.fail(id)
		}
	}
	return sent, err
}

// fail drops the replies behind a call that gets none.
func (o *replyOrder) fail(id uint32) (dropped int) {
	o.failed, o.failing = id, true
	for other, b := range o.held {
		if after(other, id) {
			o.drop(other, b)
			dropped++
		}
	}
	return dropped
}

// drop forgets a reply that was held.
func (o *replyOrder) drop(id uint32, b *bytebufferpool.ByteBuffer) {
	delete(o.held, id)
	o.size -= len(b.B)
	bytebufferpool.Put(b)
}

// waiting is how many replies wait for their turn, and their bytes. A nil o holds
// none.
func (o *replyOrder) waiting() (calls, size int) {
	if o == nil {
		return 0, 0
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.held), o.size
}

// after reports whether call a was made after call b.
func after(a, b uint32) bool { return int32(a-b) > 0 }
