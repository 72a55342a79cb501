package rpc

import "context"

// awaitedCall is a typed call that a goroutine waits for: its values, and its place in
// the client's queue. It lies in a pool of the method.
type awaitedCall[Req, Resp any] struct {
	typedCall[Req, Resp]
	waiter typedWaiter
}

func (m *Method[Req, Resp]) await(client *Client) *awaitedCall[Req, Resp] {
	a, ok := m.awaited.Get().(*awaitedCall[Req, Resp])
	if !ok {
		a = &awaitedCall[Req, Resp]{typedCall: typedCall[Req, Resp]{method: m}}
		a.waiter.init(a)
	} else if a.waiter.client.loop != client.loop {
		a.waiter.ready = make(chan struct{}, 1) // that of another loop's may belong to a bubble of testing/synctest
	}
	a.waiter.client = client
	return a
}

// zeroReply implements typedValues.
func (a *awaitedCall[Req, Resp]) zeroReply() { zero(&a.resp) }

// recycle implements typedValues.
func (a *awaitedCall[Req, Resp]) recycle() {
	zero(&a.req)
	zero(&a.resp)
	a.method.awaited.Put(a)
}

// Call calls the method and waits for the reply. It is Client.Call with types:
// goroutine-safe, not for the loop's own goroutine. Beside the errors of
// Client.Call there is *MethodError. What the request refers to must not be changed
// before Call has returned.
func (m *Method[Req, Resp]) Call(ctx context.Context, client *Client, req Req) (resp Resp, err error) {
	a := m.await(client)
	a.req = req
	w := &a.waiter
	if w.handed = m.hands(&a.req); !w.handed {
		encoded, err := a.appendCall(w.own[:0])
		if err != nil {
			client.queue.recycle(&w.waiter)
			return resp, err
		}
		w.give(encoded)
	}
	done, err := client.begin(ctx, &w.waiter)
	if err != nil {
		return resp, err
	}
	// Not in a function: see waiter.wait.
	ended := true
	switch {
	case w.late:
		ended = w.foundLate() || w.parkLate(done)
	case w.patient:
		<-w.ready
	default:
		ended = w.waiter.wait(done)
	}
	if !ended {
		client.queue.giveUp(&w.waiter) // it belongs to others now
		return resp, endOf(ctx)
	}
	w.wakeNext()
	err = w.finish()
	if err != nil {
		client.queue.recycle(&w.waiter)
		return m.failed(ctx, client, &req, err)
	}
	resp = a.resp
	client.queue.recycle(&w.waiter)
	return resp, nil
}

// failed is what Call returns after an error. If the codec has panicked elsewhere, the request is encoded
// here: the panic is the caller's. It is not inlined for the reason that waiter.wait is not.
//
//go:noinline
func (m *Method[Req, Resp]) failed(ctx context.Context, client *Client, req *Req, err error) (none Resp, _ error) {
	if err != errUnencoded {
		return none, m.translate(err)
	}
	payload, err := m.appendRequest(nil, *req)
	if err != nil {
		return none, err
	}
	return m.outcome(client.CallBytes(ctx, payload))
}
