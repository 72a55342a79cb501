package rpc

import (
	"sync"

	"github.com/valyala/bytebufferpool"
)

// replyOrder sends the replies of calls that end in any order in the order of
// the calls: on the wire AnyEventSync frames carry no ids, and the n-th reply answers the n-th
// call. Calls are numbered from 1, and wrap around. Behind a call that gets no reply, because of an
// error, no other's turn comes: theirs would be taken for its.
type replyOrder struct {
	server *Server
	mu     sync.Mutex
	due    uint32 // whose reply is the next
	held   map[uint32]*bytebufferpool.ByteBuffer
	size   int // of what is held, in bytes
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
	if err == nil && uint64(len(reply)) > uint64(o.server.maxFrame) {
		err = ErrTooLarge // now, not when its turn comes
	}
	if err != nil {
		return 1, err
	}
	if id != o.due {
		b := bytebufferpool.Get()
		b.Set(reply)
		o.held[id] = b
		o.size += len(b.B)
		return 0, nil
	}
	err = o.send(reply, prompt)
	for over = 1; err == nil; over++ {
		b, ok := o.held[o.due]
		if !ok {
			break
		}
		delete(o.held, o.due)
		o.size -= len(b.B)
		err = o.send(b.B, prompt)
		bytebufferpool.Put(b)
	}
	return over, err
}

// send sends the reply that is due.
func (o *replyOrder) send(reply Payload, prompt bool) error {
	if err := o.server.send(syncReply, reply, prompt); err != nil {
		return err
	}
	o.due++
	return nil
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
