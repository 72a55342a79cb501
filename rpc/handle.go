package rpc

import (
	"context"
	"sync"

	"github.com/valyala/bytebufferpool"
)

// Handle registers fn as the method's handler. It panics if the Mux has a handler
// of that name. fn runs where its server runs handlers: under ServeGoroutines on
// several goroutines at once; under ServeAsync, and in a parent, on the loop, where it must not
// block and ctx ends at the call's deadline only. An error becomes the caller's *RemoteError, and so
// does a panic, with its stack, but in a parent: see Config.OnCall.
func (m *Method[Req, Resp]) Handle(mux *Mux, fn func(ctx context.Context, req Req) (Resp, error)) {
	mux.register(m.name, &plainHandler[Req, Resp]{m, fn})
}

// HandleAsync registers fn as a handler that answers when it likes, before or
// after it returns. It panics if the Mux has a handler of that name. Under
// ServeAsync, and in a parent, fn runs on the loop, and so must whoever answers. Under ServeSync and
// ServeGoroutines the server waits for the answer, which any goroutine may give.
func (m *Method[Req, Resp]) HandleAsync(mux *Mux, fn func(req Req, answer Answer[Resp])) {
	mux.register(m.name, &asyncMethodHandler[Req, Resp]{m, fn})
}

// decodeRequest is the child's first step.
func (m *Method[Req, Resp]) decodeRequest(request []byte) (req Req, err error) {
	c := m.get()
	if err = m.codec.Decode(request, &c.req); err == nil {
		req = c.req
	} else {
		err = refuse(KindBadRequest, "%v", err)
	}
	zero(&c.req)
	m.put(c)
	return req, err
}

// appendReply is its last.
func (m *Method[Req, Resp]) appendReply(buf []byte, resp Resp) ([]byte, error) {
	c := m.get()
	c.resp = resp
	buf, err := appendEncoded(buf, m.codec, &c.resp)
	zero(&c.resp)
	m.put(c)
	if err != nil {
		return nil, refuse(KindBadReply, "%v", err)
	}
	return buf, nil
}

// end answers a call on the loop.
func (m *Method[Req, Resp]) end(done Done, resp Resp) error {
	b := bytebufferpool.Get()
	defer bytebufferpool.Put(b)
	reply, err := m.appendReply(b.B[:0], resp)
	if err != nil {
		return done.Fail(err)
	}
	b.B = reply
	return done.ReplyBytes(reply)
}

type plainHandler[Req, Resp any] struct {
	method *Method[Req, Resp]
	fn     func(context.Context, Req) (Resp, error)
}

func (h *plainHandler[Req, Resp]) codecName() string { return h.method.codec.Name() }

func (h *plainHandler[Req, Resp]) serve(ctx context.Context, request, buf []byte) ([]byte, error) {
	req, err := h.method.decodeRequest(request)
	if err != nil {
		return nil, err
	}
	resp, err := h.fn(ctx, req)
	if err != nil {
		return nil, err
	}
	return h.method.appendReply(buf, resp)
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
	w := &answerWaiter[Resp]{given: make(chan struct{})}
	h.fn(req, Answer[Resp]{method: h.method, waiter: w})
	select {
	case <-w.given:
	case <-ctx.Done():
		if w.give(nil, ctx.Err()) == nil {
			return nil, ctx.Err()
		}
	}
	if w.err != nil {
		return nil, w.err
	}
	return h.method.appendReply(buf, w.resp)
}

// answerer is a Method, for whom it does not matter what it was asked.
type answerer[Resp any] interface {
	end(done Done, resp Resp) error
}

// An Answer ends one call of a method handled with HandleAsync. The first of its
// methods to be called ends the call, later ones return ErrDone.
type Answer[Resp any] struct {
	method answerer[Resp]
	done   Done // under ServeAsync, and in a parent
	waiter *answerWaiter[Resp]
}

// Reply answers with resp. Under ServeAsync resp has been encoded when Reply returns;
// under the other servers it is encoded soon afterwards, and must not be changed.
func (a Answer[Resp]) Reply(resp Resp) error {
	if a.waiter != nil {
		return a.waiter.give(&resp, nil)
	}
	return a.method.end(a.done, resp)
}

// Fail answers with an error; see Handler.
func (a Answer[Resp]) Fail(err error) error {
	if err == nil {
		err = errNilFailure
	}
	if a.waiter != nil {
		return a.waiter.give(nil, err)
	}
	return a.done.Fail(err)
}

// answerWaiter brings the answer to a server that waits for it.
type answerWaiter[Resp any] struct {
	mu    sync.Mutex
	ended bool
	given chan struct{}
	resp  Resp
	err   error
}

func (w *answerWaiter[Resp]) give(resp *Resp, err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return ErrDone
	}
	w.ended = true
	if resp != nil {
		w.resp = *resp
	}
	w.err = err
	close(w.given)
	return nil
}
