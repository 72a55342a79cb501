package rpc

import (
	"context"

	"github.com/valyala/bytebufferpool"
)

// The child's half of typed calls to the parent. The parent has its methods handled by a Mux, as a
// child has: Config.OnCall is its Async.

// CallParent calls the method in the parent, from inside a Handler whose ctx it is
// given, or with one of Server.Context, and waits for the reply. It is rpc.CallParent with types.
// Beside the errors of that there is *MethodError.
func (m *Method[Req, Resp]) CallParent(ctx context.Context, req Req) (Resp, error) {
	b := bytebufferpool.Get()
	defer bytebufferpool.Put(b)
	payload, err := m.appendRequest(b.B[:0], req)
	if err != nil {
		var none Resp
		return none, err
	}
	b.B = payload
	return m.outcome(CallParentBytes(ctx, payload))
}

// GoParent queues a call of the method in the parent and returns. It is Server.GoParent with types:
// for the loop of ServeAsync; done is called once, on that loop, unless GoParent returns an
// error, and may be nil. A request that cannot be encoded is a *MethodError of GoParent.
// Nothing is allocated, but by the codec.
func (m *Method[Req, Resp]) GoParent(server *Server, req Req, done func(Resp, error)) error {
	b := bytebufferpool.Get()
	defer bytebufferpool.Put(b)
	payload, err := m.appendRequest(b.B[:0], req)
	if err != nil {
		return err
	}
	b.B = payload
	c := m.get()
	c.done = done
	if _, err = server.GoParentWith(c, CallOptions{}, payload); err != nil {
		c.done = nil
		m.put(c)
	}
	return err
}
