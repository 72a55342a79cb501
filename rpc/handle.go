package rpc

import "context"

// Handle registers fn as the method's handler. It panics if the Mux has a handler
// of that name. fn runs where its server runs handlers: under ServeGoroutines on
// several goroutines at once; under ServeAsync, and in a parent, on the loop, where it must not
// block and ctx ends at the call's deadline only.
//
// An error becomes the caller's *RemoteError, and so does a panic, with its stack; in a parent a
// panic is the loop's matter: see Config.OnCall.
func (m *Method[Req, Resp]) Handle(mux *Mux, fn func(ctx context.Context, req Req) (Resp, error)) {
	mux.register(m.name, &plainHandler[Req, Resp]{m, fn})
}

// HandleAsync registers fn as a handler that answers when it likes, before or
// after it returns. It panics if the Mux has a handler of that name. Under
// ServeAsync, and in a parent, fn runs on the loop, and so must whoever answers.
//
// Under ServeSync and ServeGoroutines the server waits for the answer, which any goroutine may give; if
// the call's ctx ends first, its error is the answer. Answer.Context and Answer.OnCancel
// tell of that. ServeSync, which begins no other call meanwhile, reads on for the sake of a cancel: a
// Handler that wraps mux.Sync() must not return before that has. It ends the ctx also when it finds
// that the parent is gone. If it reads and writes the same descriptor, a socket, it finds that only where poll(2) tells: on Linux,
// and over TCP not before the connection is reset, because one that was closed looks like one that is half-closed.
func (m *Method[Req, Resp]) HandleAsync(mux *Mux, fn func(req Req, answer Answer[Resp])) {
	mux.register(m.name, &asyncMethodHandler[Req, Resp]{m, fn})
}

// decodeRequest decodes what the handler is given, into the record.
func (c *typedCall[Req, Resp]) decodeRequest(request []byte) error {
	if err := c.method.codec.Decode(request, &c.req); err != nil {
		return refuse(KindBadRequest, "%v", err)
	}
	return nil
}

// appendReply appends the payload of the reply that the record has.
func (c *typedCall[Req, Resp]) appendReply(buf []byte) ([]byte, error) {
	buf, err := appendEncoded(buf, c.method.codec, &c.resp)
	if err != nil {
		return nil, refuse(KindBadReply, "%v", err)
	}
	return buf, nil
}

// decodeRequest is typedCall's for a handler that answers later: no record is kept until then.
func (m *Method[Req, Resp]) decodeRequest(request []byte) (req Req, err error) {
	c := m.get()
	err = c.decodeRequest(request)
	if err == nil {
		req = c.req
	}
	c.clear()
	return req, err
}

// appendReply is typedCall's for such a handler.
func (m *Method[Req, Resp]) appendReply(buf []byte, resp Resp) ([]byte, error) {
	c := m.get()
	c.resp = resp
	buf, err := c.appendReply(buf)
	c.clear()
	return buf, err
}

// end answers a call on the loop.
func (m *Method[Req, Resp]) end(done Done, resp Resp) error {
	c := m.get()
	defer c.clear()
	c.resp = resp
	reply, err := c.appendReply(c.buf[:0])
	if err != nil {
		return done.Fail(err)
	}
	if cap(reply) <= bufferKept {
		c.buf = reply
	}
	return done.ReplyBytes(reply)
}

type plainHandler[Req, Resp any] struct {
	method *Method[Req, Resp]
	fn     func(context.Context, Req) (Resp, error)
}

func (h *plainHandler[Req, Resp]) codecName() string { return h.method.codec.Name() }

func (h *plainHandler[Req, Resp]) serve(ctx context.Context, request, buf []byte) ([]byte, error) {
	c := h.method.get()
	err := c.decodeRequest(request)
	if err == nil {
		c.resp, err = h.fn(ctx, c.req)
	}
	if err == nil {
		buf, err = c.appendReply(buf)
	}
	c.clear()
	if err != nil {
		return nil, err
	}
	return buf, nil
}

func (h *plainHandler[Req, Resp]) begin(request []byte, done Done) {
	req, err := h.method.decodeRequest(request)
	if err != nil {
		done.Fail(err)
		return
	}
	resp, err := h.fn(done.deadlineContext(), req)
	if err != nil {
		done.Fail(err)
		return
	}
	h.method.end(done, resp)
}

type asyncMethodHandler[Req, Resp any] struct {
	method *Method[Req, Resp]
	fn     func(Req, Answer[Resp])
}

func (h *asyncMethodHandler[Req, Resp]) codecName() string { return h.method.codec.Name() }

func (h *asyncMethodHandler[Req, Resp]) begin(request []byte, done Done) {
	req, err := h.method.decodeRequest(request)
	if err != nil {
		done.Fail(err)
		return
	}
	h.fn(req, Answer[Resp]{method: h.method, done: done})
}

// serve waits for the answer. A handler that panics after it answered panics here
// as well: the caller gets the panic.
func (h *asyncMethodHandler[Req, Resp]) serve(ctx context.Context, request, buf []byte) ([]byte, error) {
	req, err := h.method.decodeRequest(request)
	if err != nil {
		return nil, err
	}
	w := newAnswerWaiter[Resp](ctx)
	defer w.end()
	h.fn(req, Answer[Resp]{method: h.method, waiter: w})
	if err := w.wait(); err != nil {
		return nil, err
	}
	return h.method.appendReply(buf, w.resp)
}
