package rpc

import (
	"errors"
	"reflect"
	"slices"
	"sync"
)

// A typed call of a goroutine is handed over if its values are small and the codec runs no code but its
// own: the request is encoded on the loop, at its place in the stream, and with one processor the reply is decoded
// there, too. With several, which can do that while the loop goes on, replies that come together are decoded by one of
// the goroutines that wait for them. If each did all that itself, it would touch much of a stack that is not in the
// cache, because there may be thousands; and that has to grow for it, and shrinks again with each collection of garbage.

// handing says which calls of a method are handed over; see handed.go.
type handing struct {
	possible bool
	elements elementCounter // of requests; nil: they have none
}

// hands reports whether a call with that request is handed over.
func (m *Method[Req, Resp]) hands(req *Req) bool {
	h := m.handing.Load()
	if h == nil { // and not before: most of a program's processes make no calls
		h = new(handing)
		if codec, ok := m.codec.(MethodlessCodec); ok {
			s := smallness{codec: codec}
			_, h.possible = s.counter(reflect.TypeFor[Resp]())
			if h.possible {
				h.elements, h.possible = s.counter(reflect.TypeFor[Req]())
			}
		}
		m.handing.Store(h)
	}
	return h.possible && (h.elements == nil || h.elements(reflect.ValueOf(req).Elem()) <= fewElements)
}

// typedValues are the values of a typed call.
type typedValues interface {
	appendCall(buf []byte) ([]byte, error)
	decodeReply(reply Payload) error
	zeroReply()
	recycle()
}

// typedWaiter is the waiter of a typed call.
type typedWaiter struct {
	batch    *replyBatch // which this goroutine decodes
	encoding sync.Mutex  // held by the loop while it encodes the request, and to give up
	values   typedValues
	led      uint32 // how many batches it has decoded
	handed   bool   // the call is handed over
	decoded  bool   // by another goroutine, or the loop
	waiter
}

func (t *typedWaiter) init(values typedValues) {
	t.waiter.init()
	t.waiter.typed = t
	t.values = values
}

// recycle gives a waiter back that has been reset.
func (t *typedWaiter) recycle() {
	t.decoded = false
	t.values.recycle()
}

// smallReply is how long the reply to a call that is handed over may be: a longer one is
// decoded by its own goroutine, at the same time as others.
const smallReply = 512

// errUnencoded is the end of a call whose codec has panicked on the loop.
var errUnencoded = errors.New("rpc: the codec has panicked")

// makeHanded makes a call that was handed over.
func (c *Client) makeHanded(t *typedWaiter) (err error) {
	var options CallOptions
	if !t.patient {
		options.Deadline = t.deadline
		t.encoding.Lock() // the goroutine may give up, and then change what the request refers to
		defer t.encoding.Unlock()
		if t.isGivenUp() {
			return ErrCanceled // which nobody hears of
		}
	}
	if err = c.refusal(); err != nil {
		return err
	}
	k, buf, start := c.frameOf(options, c.due(options))
	encoded, err := t.encode(buf)
	if err != nil {
		c.stream.Commit(buf[:start])
		return err
	}
	t.id, err = c.send(k, encoded, start, t)
	return err
}

// encode appends the request, on the loop, whose panic a panic of the codec must not be.
func (t *typedWaiter) encode(buf []byte) (_ []byte, err error) {
	defer func() {
		if recover() != nil {
			err = errUnencoded
		}
	}()
	return t.values.appendCall(buf)
}

// Complete implements Completion, for a call that was handed over.
func (t *typedWaiter) Complete(reply Payload, err error) {
	if err != nil || len(reply) > smallReply {
		t.waiter.Complete(reply, err)
		return
	}
	q := &t.client.queue
	if !t.patient && !t.end() {
		q.letGo(&t.waiter)
		return
	}
	switch {
	case t.late:
		t.decodeOnLoop(reply)
		q.endLate(&t.waiter)
	case q.row.processors == 1:
		t.decodeOnLoop(reply)
		q.wake(&t.waiter)
	default:
		q.gather(t, reply)
	}
}

// decodeOnLoop decodes the reply. If the codec panics, the goroutine decodes it once more: the panic is its own.
func (t *typedWaiter) decodeOnLoop(reply Payload) {
	defer func() {
		if !t.decoded {
			_ = recover()
			t.values.zeroReply()
			t.reply = slices.Clone(reply)
		}
	}()
	t.err = t.values.decodeReply(reply)
	t.decoded = true
}
