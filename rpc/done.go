package rpc

import (
	"errors"

	"github.com/valyala/bytebufferpool"
)

// Done answers one call that has been begun on a loop: in a child under ServeAsync, in a parent
// under Config.OnCall. Its methods belong to the loop's goroutine. The first of Reply,
// ReplyBytes and Fail ends the call, later ones return ErrDone. In a parent they return a *LostError
// if the child is gone, and ErrShutdown once the client, having been shut down, has closed
// the child's input.
type Done struct {
	open *openCalls
	slot int
	gen  uint32
}

// Reply answers with a STRING list.
func (d Done) Reply(values ...string) error {
	b := bytebufferpool.Get()
	defer bytebufferpool.Put(b)
	b.B = AppendStrings(b.B, values...)
	return d.end(b.B, nil)
}

// ReplyBytes answers with a payload that has been encoded already; it is copied.
func (d Done) ReplyBytes(payload []byte) error { return d.end(payload, nil) }

// Fail answers with an error; see Handler.
func (d Done) Fail(err error) error {
	if err == nil {
		err = errNilFailure // the caller must not take it for a reply
	}
	return d.end(nil, err)
}

var errNilFailure = errors.New("rpc: the handler failed with a nil error")

func (d Done) end(reply Payload, failure error) error {
	id, ok := d.open.take(d.slot, d.gen)
	if !ok {
		return ErrDone
	}
	return d.open.owner.answerOpen(id, reply, failure)
}
