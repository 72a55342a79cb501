package rpc

import (
	"context"
	"sync"
)

// answerer is a Method, for whom it does not matter what it was asked.
type answerer[Resp any] interface {
	end(done Done, resp Resp) error
}

// An Answer ends one call of a method handled with HandleAsync. The first of Reply
// and Fail to be called ends the call, later ones return ErrDone. Under ServeAsync, and in a parent,
// its methods belong to the loop's goroutine, under the other servers they are for
// any.
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

// Context returns a context that ends when the caller cancels the call, at its
// deadline, when it has been answered, and with the server. (ServeSync learns of a
// cancel only within the first 1 MiB of input behind the call.) The context may be used anywhere.
// Under ServeSync and ServeGoroutines SendPart takes it. Calls whose handlers do not ask
// for it cost nothing.
func (a Answer[Resp]) Context() context.Context {
	if a.waiter != nil {
		return a.waiter.context()
	}
	return a.done.Context()
}

// OnCancel has fn called when nobody waits for the answer any more: the caller has cancelled the
// call (ErrCanceled), its deadline has passed (ErrDeadline), or the server, in a parent the child,
// has come to its end. It is called once, and not after the call has been answered. A second
// OnCancel replaces the first; nil removes it.
//
// Under ServeAsync, and in a parent, fn runs on the loop, and the call has still to be answered, which
// costs nothing: the answer is dropped. Under the other servers fn runs on the
// goroutine that ran the handler, once that has returned; when fn has returned too,
// the call is answered with the error of its ctx, if it was not before. There the end of
// the server counts as a cancel, whose error wraps the reason.
func (a Answer[Resp]) OnCancel(fn func(err error)) {
	if a.waiter != nil {
		a.waiter.setOnCancel(fn)
		return
	}
	a.done.OnCancel(fn)
}

// answerWaiter brings the answer to a server that waits for it.
type answerWaiter[Resp any] struct {
	ctx   context.Context // the server's
	given chan struct{}

	mu       sync.Mutex
	ended    bool
	resp     Resp
	err      error
	asked    context.Context // for the handler; nil until it asks
	cancel   context.CancelFunc
	onCancel func(err error)
}

func newAnswerWaiter[Resp any](ctx context.Context) *answerWaiter[Resp] {
	return &answerWaiter[Resp]{ctx: ctx, given: make(chan struct{})}
}

// wait returns when there is an answer, its error or nil. The end of ctx is one.
func (w *answerWaiter[Resp]) wait() error {
	if c, ok := w.ctx.Value(partKey{}).(*syncContext); ok && !w.isGiven() {
		c.server.awaitEnd(w.context())
	}
	select {
	case <-w.given:
	case <-w.ctx.Done():
		for fn := w.giveUp(); fn != nil; fn = w.giveUp() { // fn may have set another
			fn(endOf(w.ctx))
		}
	}
	return w.err
}

func (w *answerWaiter[Resp]) isGiven() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended
}

// giveUp answers with the ctx's error, unless there is an answer, or somebody who has to
// be told before.
func (w *answerWaiter[Resp]) giveUp() (tell func(err error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return nil
	}
	tell, w.onCancel = w.onCancel, nil
	if tell == nil {
		w.giveLocked(nil, w.ctx.Err())
	}
	return tell
}

func (w *answerWaiter[Resp]) give(resp *Resp, err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return ErrDone
	}
	w.giveLocked(resp, err)
	return nil
}

// end makes sure that there is an answer: after a panic nobody else would give one.
func (w *answerWaiter[Resp]) end() { _ = w.give(nil, ErrDone) }

func (w *answerWaiter[Resp]) giveLocked(resp *Resp, err error) {
	w.ended = true
	if resp != nil {
		w.resp = *resp
	}
	w.err = err
	if w.cancel != nil {
		w.cancel()
	}
	close(w.given)
}

func (w *answerWaiter[Resp]) context() context.Context {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.asked == nil {
		w.asked, w.cancel = context.WithCancel(w.ctx)
		if w.ended {
			w.cancel()
		}
	}
	return w.asked
}

func (w *answerWaiter[Resp]) setOnCancel(fn func(err error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.onCancel = fn
}
