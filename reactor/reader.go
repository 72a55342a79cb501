package reactor

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/valyala/bytebufferpool"
)

// A Reader cuts the bytes it is fed into units and calls a function with each. It
// is a plain value, good for bytes from anywhere; Stream.Reader has one fed by a
// stream. What to read next may be asked at any time, also in the function that
// gets a unit, as a body is asked for when its header has told how long it is.
//
// A unit that lies in one piece of what is fed is delivered without being copied;
// only the beginning of one that is not complete yet is kept. Nothing is allocated
// per unit. A Reader is used by one goroutine, a stream's by the loop's, and is not
// to be copied once it is in use. The zero value is ready.
type Reader struct {
	each  request   // when nothing else is asked for
	queue []request // from next on, in this order, once each
	next  int

	rest *bytebufferpool.ByteBuffer // fed and not consumed; nil: nothing
	off  int                        // how much of rest has been consumed
	seen int                        // how much behind off has been searched for the unit's end
	feed []byte                     // what is left of the piece that is being fed
	late []byte                     // fed meanwhile, by a function that gets a unit

	busy  bool // inside Feed
	held  bool // the stream is paused: keep, do not deliver
	err   error
	owner *Stream
}

// request is a unit that somebody waits for.
type request struct {
	unit Unit
	fn   func(unit []byte)
}

// PartialError is the error of an EOF in the middle of a unit. It is also an
// io.ErrUnexpectedEOF.
type PartialError struct {
	Partial []byte // what there was of the unit, with its length or without its end of line; the receiver's
}

// Error is like "reactor: unexpected EOF after 12 bytes of a unit".
func (e *PartialError) Error() string {
	return fmt.Sprintf("reactor: %v after %d bytes of a unit", io.ErrUnexpectedEOF, len(e.Partial))
}

// Unwrap returns io.ErrUnexpectedEOF.
func (e *PartialError) Unwrap() error { return io.ErrUnexpectedEOF }

// Each has fn called with every unit that nothing else asks for, until it is
// replaced by another Each; a nil fn asks for nothing. The bytes are valid until fn
// returns. A unit of no bytes would never end: ErrInvalid. The function is not
// called from inside Each, but by Feed.
func (r *Reader) Each(unit Unit, fn func(unit []byte)) error {
	if unit.kind == unitFixed && unit.limit == 0 && fn != nil {
		return ErrInvalid
	}
	if r.err != nil {
		return r.err
	}
	r.each = request{unit, fn}
	r.seen = 0
	r.asked()
	return nil
}

// Push asks for one unit, behind what has been asked for already; fn is called
// with it, once, under the rules of Each; a nil fn drops the unit. After an error
// Push returns that, and fn is not called.
func (r *Reader) Push(unit Unit, fn func(unit []byte)) error {
	if r.err != nil {
		return r.err
	}
	if r.next == len(r.queue) {
		r.seen = 0 // the rest was searched for the end of another unit
	}
	if len(r.queue) == cap(r.queue) && r.next >= len(r.queue)/2 {
		r.queue = slices.Delete(r.queue, 0, r.next)
		r.next = 0
	}
	r.queue = append(r.queue, request{unit, fn})
	r.asked()
	return nil
}

// Unshift is Push before everything that has been asked for.
func (r *Reader) Unshift(unit Unit, fn func(unit []byte)) error {
	if r.err != nil {
		return r.err
	}
	if r.next == 0 {
		r.queue = slices.Insert(r.queue, 0, request{})
		r.next = 1
	}
	r.next--
	r.queue[r.next] = request{unit, fn}
	r.seen = 0
	r.asked()
	return nil
}

// asked has a stream read on, or deliver what it holds.
func (r *Reader) asked() {
	if r.owner != nil {
		r.owner.unitsAsked()
	}
}

// wanted reports whether any unit is asked for.
func (r *Reader) wanted() bool { return r.next < len(r.queue) || r.each.fn != nil }

// request returns what is asked for next.
func (r *Reader) request() *request {
	if r.next < len(r.queue) {
		return &r.queue[r.next]
	}
	return &r.each
}

// Buffered is how many bytes are held: of a unit that is not complete, or because
// nobody has asked for one.
func (r *Reader) Buffered() int {
	n := len(r.feed) + len(r.late)
	if r.rest != nil {
		n += len(r.rest.B) - r.off
	}
	return n
}

// Feed takes the next bytes and calls the functions of the units that are complete
// with them; what is left is kept. Data may be nil, to go on after a Push.
// The data is the caller's again when it returns. ErrTooLong and ErrMalformed are
// final: every later call returns them, too. Called from a function that gets a
// unit, it only keeps the data until that unit's turn is over. If such a function
// panics, its unit is delivered, and the next call goes on behind it.
func (r *Reader) Feed(data []byte) error {
	if r.err != nil {
		return r.err
	}
	if r.busy {
		r.late = append(r.late, data...)
		return nil
	}
	r.busy = true
	defer r.settle()
	r.feed = data
	r.cut()
	for len(r.late) > 0 && r.err == nil {
		r.feed, r.late = r.late, nil
		r.cut()
	}
	return r.err
}

// settle ends a Feed. If a function has panicked there are bytes behind its unit.
func (r *Reader) settle() {
	r.busy = false
	if r.err != nil {
		r.drop()
		return
	}
	for _, p := range [][]byte{r.feed, r.late} {
		if len(p) > 0 {
			r.keep(p)
		}
	}
	r.feed, r.late = nil, nil
}

// cut delivers the units of rest and feed, and keeps what is left.
func (r *Reader) cut() {
	for r.err == nil && r.wanted() && !r.held {
		if r.rest != nil {
			if !r.cutRest() {
				break
			}
			continue
		}
		at, _, err := r.request().unit.find(r.feed, 0)
		if err != nil {
			r.err = err
			return
		}
		if at.end == 0 && !r.empty() {
			break
		}
		unit := r.feed[at.from:at.to]
		r.feed = r.feed[at.end:]
		r.deliver(unit)
	}
	if len(r.feed) > 0 && r.err == nil {
		r.keep(r.feed)
	}
	r.feed = nil
}

// empty reports whether the unit asked for has no bytes at all, so that a span
// without any is not one that is missing.
func (r *Reader) empty() bool {
	u := r.request().unit
	return r.wanted() && u.kind == unitFixed && u.limit == 0
}

// cutRest delivers the unit that begins in rest, completed from feed by no more
// than is needed for it, and reports whether it could.
func (r *Reader) cutRest() bool {
	for {
		held := r.rest.B[r.off:]
		at, need, err := r.request().unit.find(held, r.seen)
		switch {
		case err != nil:
			r.err = err
			return false
		case at.end > 0 || r.empty():
			r.off += at.end
			r.seen = 0
			r.deliver(held[at.from:at.to])
			if r.rest != nil && r.off >= len(r.rest.B) {
				r.release()
			}
			return true
		}
		r.seen = len(held)
		if len(r.feed) == 0 {
			return false
		}
		if r.request().unit.kind == unitLine {
			need = bytes.IndexByte(r.feed, '\n') + 1
			if need == 0 {
				need = len(r.feed)
			}
		}
		need = min(need, len(r.feed))
		r.keep(r.feed[:need])
		r.feed = r.feed[need:]
	}
}

// deliver calls the function that asked for the unit.
func (r *Reader) deliver(unit []byte) {
	fn := r.each.fn
	if r.next < len(r.queue) {
		fn = r.queue[r.next].fn
		r.queue[r.next] = request{}
		r.next++
	}
	if fn != nil {
		fn(unit)
	}
}

// keep puts bytes behind the rest.
func (r *Reader) keep(p []byte) {
	if r.rest == nil {
		r.rest = bytebufferpool.Get()
	}
	if r.off > 0 {
		n := copy(r.rest.B, r.rest.B[r.off:])
		r.rest.B = r.rest.B[:n]
		r.off = 0
	}
	r.rest.B = append(r.rest.B, p...)
}

func (r *Reader) release() {
	bytebufferpool.Put(r.rest)
	r.rest, r.off, r.seen = nil, 0, 0
}

// End tells of the EOF. Everything complete has been delivered; if there is the
// beginning of another unit, or a Push that has not been answered, the error is a
// *PartialError, except that a unit with OrEOF is delivered as it is. Afterwards
// the reader refuses everything with io.EOF. Called from a function that gets a
// unit it does nothing and returns ErrNested; and a stream's reader waits for somebody to ask for what it holds.
func (r *Reader) End() error {
	if r.busy {
		return ErrNested
	}
	if err := r.Feed(nil); err != nil { // there may be units that need no bytes
		return err
	}
	if r.owner != nil && r.Buffered() > 0 && !r.wanted() {
		return nil
	}
	if r.Buffered() > 0 && r.wanted() && r.request().unit.orEOF {
		r.deliverLast()
	}
	if r.err != nil {
		return r.err
	}
	if r.next < len(r.queue) || r.Buffered() > 0 {
		r.err = &PartialError{Partial: r.take()}
		return r.err
	}
	r.err = io.EOF
	return nil
}

// deliverLast delivers everything that is held as a unit that the EOF ends.
func (r *Reader) deliverLast() {
	unit := r.take()
	if r.request().unit.kind == unitLine {
		unit = bytes.TrimSuffix(unit, []byte{'\r'})
	}
	r.busy = true
	defer r.settle()
	r.deliver(unit)
}

// take returns everything that is held, which is the caller's then. Called from a
// function that gets a unit, it leaves that untouched: release is for who called it.
func (r *Reader) take() []byte {
	if r.Buffered() == 0 {
		return nil
	}
	all := make([]byte, 0, r.Buffered())
	if r.rest != nil {
		all = append(all, r.rest.B[r.off:]...)
	}
	all = append(append(all, r.feed...), r.late...)
	r.drop()
	return all
}

// drop forgets what is held.
func (r *Reader) drop() {
	r.feed, r.late = nil, nil
	switch {
	case r.rest == nil:
	case r.busy:
		r.off = len(r.rest.B) // the unit being delivered lies there: released behind it
	default:
		r.release()
	}
}

// stop ends the reader with an error, and returns what it held.
func (r *Reader) stop(err error) (unread []byte) {
	unread = r.take()
	r.drop()
	if partial, ok := r.err.(*PartialError); ok { // End has taken it
		unread = partial.Partial
	}
	if r.err == nil {
		r.err = err
	}
	r.each = request{}
	r.queue, r.next, r.owner = nil, 0, nil
	return unread
}
