package rpc

import (
	"cmp"
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// What goes to the child: calls, each encoded at its place in the stream.

// Go calls the child's function with a STRING list of arguments. It queues the
// call and returns; done is called once, with the reply, which is a view, or
// with the error that ended the call. An error of Go itself (ErrFull,
// ErrShutdown, ErrTooLarge, or what became of the child) means that the call was
// not made. A nil done ignores how the call ends.
func (c *Client) Go(done func(reply Payload, err error), args ...string) error {
	return c.GoTo(callbackFunc(done), args...)
}

// GoBytes is Go with a payload that has been encoded already.
func (c *Client) GoBytes(done func(reply Payload, err error), payload []byte) error {
	return c.GoBytesTo(callbackFunc(done), payload)
}

// GoTo is Go with an interface instead of a func: nothing is allocated, not even
// a closure of the caller's. A nil Completion ignores how the call ends.
func (c *Client) GoTo(to Completion, args ...string) error {
	if err := c.refusal(); err != nil {
		return err
	}
	buf := c.stream.AppendBuffer()
	start := len(buf)
	buf = AppendStrings(c.config.Wire.appendRoom(buf), args...)
	_, err := c.send(kindCall, buf, start, to)
	return err
}

// GoBytesTo is GoBytes with an interface instead of a func. It does not allocate.
func (c *Client) GoBytesTo(to Completion, payload []byte) error {
	_, err := c.callBytes(to, payload)
	return err
}

// callBytes makes a call without metadata.
func (c *Client) callBytes(to Completion, payload []byte) (id uint32, err error) {
	if err := c.refusal(); err != nil {
		return 0, err
	}
	buf := c.stream.AppendBuffer()
	start := len(buf)
	buf = append(c.config.Wire.appendRoom(buf), payload...)
	return c.send(kindCall, buf, start, to)
}

// refusal is why a call cannot be made now, or nil.
func (c *Client) refusal() error {
	if c.unable != nil {
		return c.unable
	}
	if c.calls.count >= c.config.MaxInFlight || c.holdsBack() {
		return ErrFull
	}
	return nil
}

// isEnding reports whether no call can be made any more, and the end of the client,
// which tells the reason, has yet to come.
func (c *Client) isEnding() bool { return c.unable != nil && c.endErr == nil && !c.closing }

// send completes the header of the frame at buf[start:], which was encoded in
// the stream's own buffer, and queues it, or rolls it back.
func (c *Client) send(k kind, buf []byte, start int, to Completion) (id uint32, err error) {
	header := c.config.Wire.callHeaderSize()
	size := len(buf) - start - header
	if uint64(size) > uint64(c.maxFrame) {
		c.stream.Commit(buf[:start])
		return 0, ErrTooLarge
	}
	id = c.calls.reserve()
	if header == lengthSize {
		binary.BigEndian.PutUint32(buf[start:], uint32(size))
	} else {
		binary.BigEndian.PutUint64(buf[start:], uint64(k.word(id))<<32|uint64(size))
	}
	if err := c.stream.Commit(buf); err != nil {
		return 0, c.notMade(err)
	}
	if to == nil {
		to = callbackFunc(nil)
	}
	c.calls.add(id, to, c.stream.Accepted())
	return id, nil
}

// errStopping is why nothing can be sent: the child was given its EOF, and not by us, or the connection was closed. The end has yet to come.
var errStopping = errors.New("the child is being stopped")

// notMade is notQueued for a call. Whatever else has happened to the stream, onClose may have yet to be told of it.
func (c *Client) notMade(err error) error {
	switch err = c.notQueued(err); err {
	case nil, ErrFull, ErrTooLarge, ErrClosed:
		return err
	}
	return &LostError{Cause: err}
}

// notQueued translates the stream's refusal of a frame, if it is one.
func (c *Client) notQueued(err error) error {
	if err == reactor.ErrClosed && !c.closing && !c.loopEnds() {
		return errStopping
	}
	if err != reactor.ErrBufferFull {
		return err
	}
	if c.stream.Buffered() == 0 {
		return ErrTooLarge // waiting would not help
	}
	return ErrFull
}

// loopEnds reports whether the loop has closed the stream, and not its transport; the client's end, which tells, may have yet to come.
func (c *Client) loopEnds() bool { return c.stream.Closed() && c.loop.Closing() }

// control queues a frame that is no call. ErrFull means that it must be tried
// again; any other error that the child is going, or was given its EOF.
func (c *Client) control(word uint32, payload []byte) error {
	return c.notQueued(c.stream.Commit(appendFrame(c.stream.AppendBuffer(), word, payload)))
}

func (c *Client) onDrain() {
	c.sendUnsent()
	c.tellCancels()
	c.serveStreams()
	c.queue.serve()
}

// onWriteError means that the child is going, or will when it sees the EOF after a write that has failed here. Calls that wait for
// room learn from its end why.
func (c *Client) onWriteError(err error) {
	c.writeErr = err
	if !errors.Is(err, unix.EPIPE) && !errors.Is(err, unix.ECONNRESET) {
		c.failed = err
	}
	if c.unable == nil {
		c.unable = &LostError{Cause: err}
	}
}

// onClose means the same, of a stream that has failed, or whose child was stopped and has closed its output.
func (c *Client) onClose(err error) {
	if err != c.writeErr && err != reactor.ErrClosed {
		c.failed = err
	}
	if c.unable == nil && err != reactor.ErrClosed {
		c.unable = &LostError{Cause: cmp.Or(err, errStopping)}
	}
}
