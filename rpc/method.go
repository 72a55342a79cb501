package rpc

import (
	"sync"
	"sync/atomic"
)

// A Method is a function of a child, with the types of its request and its reply.
// It is declared once, as a package variable that both sides see:
//
//	var Resize = rpc.NewMethod[ResizeRequest, ResizeReply]("resize", cborcodec.Codec{})
//
// The parent calls it with Call, Go, GoWith or FanOut; the child has it handled by a Mux,
// with Handle or HandleAsync. A Method is immutable and can be used by all
// goroutines; what may be called where is said for each of its methods.
//
// Requests and replies are the codec's copies, and so the receiver's own, unless
// the codec says otherwise: rawcodec's are views, valid as long as a Payload.
type Method[Req, Resp any] struct {
	name    string
	codec   Codec
	records sync.Pool // of *typedCall
	awaited sync.Pool // of *awaitedCall
	handing atomic.Pointer[handing]
}

// NewMethod declares a method. The name is what identifies it at the other side,
// in all versions of a program that are to understand each other.
func NewMethod[Req, Resp any](name string, codec Codec) *Method[Req, Resp] {
	return &Method[Req, Resp]{name: name, codec: codec}
}

// Name is the method's name.
func (m *Method[Req, Resp]) Name() string { return m.name }

// typedCall is what one typed call needs while it lasts. It gives values to and
// takes them from the codec by pointer, and lies in a pool: neither an interface
// nor a closure is made per call.
type typedCall[Req, Resp any] struct {
	method *Method[Req, Resp]
	done   func(Resp, error)
	req    Req
	resp   Resp
	buf    []byte // for a reply of a handler that answers on the loop
}

func (m *Method[Req, Resp]) get() *typedCall[Req, Resp] {
	if c, ok := m.records.Get().(*typedCall[Req, Resp]); ok {
		return c
	}
	return &typedCall[Req, Resp]{method: m}
}

// put takes back a record whose values are zero.
func (m *Method[Req, Resp]) put(c *typedCall[Req, Resp]) { m.records.Put(c) }

// clear zeroes the values and gives the record back.
func (c *typedCall[Req, Resp]) clear() {
	zero(&c.req)
	zero(&c.resp)
	c.method.put(c)
}

// appendCall appends the payload of the call.
func (c *typedCall[Req, Resp]) appendCall(buf []byte) ([]byte, error) {
	m := c.method
	buf = appendString(buf, m.name)
	buf, err := appendEncoded(buf, m.codec, &c.req)
	if err != nil {
		return nil, m.fail(ErrBadRequest, err)
	}
	return appendString(buf, m.codec.Name()), nil
}

// decodeReply decodes the payload of the reply.
func (c *typedCall[Req, Resp]) decodeReply(reply Payload) error {
	m := c.method
	body, _, err := reply.Next()
	if err == nil {
		err = m.codec.Decode(body, &c.resp)
	}
	if err != nil {
		return m.fail(ErrBadReply, err)
	}
	return nil
}

// appendRequest appends the payload of a call with req.
func (m *Method[Req, Resp]) appendRequest(buf []byte, req Req) ([]byte, error) {
	c := m.get()
	c.req = req
	buf, err := c.appendCall(buf)
	zero(&c.req)
	m.put(c)
	return buf, err
}

// outcome turns the end of the frame's call into that of the typed one.
func (m *Method[Req, Resp]) outcome(reply Payload, err error) (resp Resp, _ error) {
	if err != nil {
		return resp, m.translate(err)
	}
	c := m.get()
	if err = c.decodeReply(reply); err == nil {
		resp = c.resp
	}
	zero(&c.resp)
	m.put(c)
	return resp, err
}

// Go queues a call and returns. It is Client.Go with types: for the loop's
// goroutine; done is called once, on the loop, unless Go returns an error, and
// may be nil. A request that cannot be encoded is a *MethodError of Go. Nothing is
// allocated, but by the codec.
func (m *Method[Req, Resp]) Go(client *Client, req Req, done func(Resp, error)) error {
	_, err := m.GoWith(client, req, CallOptions{}, done)
	return err
}

// GoWith is Go with options, and tells which call it made, for Client.Cancel:
// Client.GoWith with types. It allocates as little as Go.
func (m *Method[Req, Resp]) GoWith(client *Client, req Req, options CallOptions, done func(Resp, error)) (CallID, error) {
	c := m.get()
	c.req, c.done = req, done
	call, err := client.goEncoded(c, options, c.appendCall)
	zero(&c.req)
	if err != nil {
		c.done = nil
		m.put(c)
	}
	return call, err
}

// Complete implements Completion.
func (c *typedCall[Req, Resp]) Complete(reply Payload, err error) {
	m, done := c.method, c.done
	c.done = nil
	m.put(c)
	if done == nil {
		return
	}
	done(m.outcome(reply, err))
}

// zero zeroes a value.
func zero[T any](v *T) {
	var none T
	*v = none
}
