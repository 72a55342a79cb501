package rpc

import (
	"encoding/binary"
	"errors"

	"github.com/evfork/evfork/reactor"
)

// childCalls are the calls of a Client's child.
type childCalls struct {
	open   openCalls
	unsent []byte // answers for which the stream has had no room, as frames
	owed   int    // how many: the child has no answer to these calls either
	hold   bool   // the child wants no calls for now
}

// initUpcalls prepares for calls of the child, if they are wanted, before the hello.
func (c *Client) initUpcalls() {
	if c.config.OnCall == nil {
		return
	}
	c.upcalls.open.owner, c.upcalls.open.loop = c, c.loop
	c.hello.features = append(c.hello.features, featureCalls)
	c.hello.calls = c.config.MaxUpcalls
}

// called takes a call of the child.
func (c *Client) called(id uint32, payload Payload) error {
	open := &c.upcalls.open
	unanswered := open.count + c.upcalls.owed
	switch {
	case c.config.OnCall == nil:
		return violation("a call of kind %d came, and Config.OnCall is not set", kindUpcall)
	case id == eventID:
		return violation("a call came with the id %d", id)
	case unanswered >= c.config.MaxUpcalls:
		return violation("a call came while %d were without an answer, as many as there may be", unanswered)
	case open.find(id) != nil:
		return violation("a call came with the id %d of one that is without an answer", id)
	}
	if !c.stopping { // else it could not be answered; the child knows by the EOF
		c.config.OnCall(payload, open.add(id))
	}
	return nil
}

// upcallCanceled is told that the child does not wait for the answer to a call any more.
func (c *Client) upcallCanceled(id uint32) error {
	if c.config.OnCall == nil || id == eventID {
		return violation("frame of kind %d with id %d", kindCancel, id)
	}
	c.upcalls.open.cancel(id)
	return nil
}

// answerOpen implements callOwner.
func (c *Client) answerOpen(id uint32, reply Payload, failure error) error {
	switch {
	case c.endErr != nil:
		return c.upcallLost()
	case c.stopping:
		return ErrShutdown
	case failure == nil && uint64(len(reply)) > uint64(c.maxFrame):
		failure = ErrTooLarge
	}
	if failure == nil {
		err := c.sendAnswer(kindUpcall.word(id), reply)
		if err != ErrTooLarge {
			return err
		}
		failure = err
	}
	return c.sendAnswer(kindError.word(id), c.encodeFailure(failure))
}

func (c *Client) encodeFailure(failure error) Payload {
	return encodeRemoteError(failure, c.config.Sentinels, int(c.maxFrame))
}

// partOfOpen implements callOwner: replies to the child have no parts.
func (c *Client) partOfOpen(*openCall, Payload) error { return ErrNoParts }

// sendAnswer queues a frame. If there is no room for that now, it is queued later; calls
// are not made before that, since they would take the room.
func (c *Client) sendAnswer(word uint32, payload Payload) error {
	if len(c.upcalls.unsent) == 0 {
		switch err := c.control(word, payload); err {
		case nil, ErrTooLarge:
			return err
		case ErrFull:
		default: // the child is going
			return &LostError{Cause: err, Started: true}
		}
	}
	c.upcalls.unsent = appendFrame(c.upcalls.unsent, word, payload)
	c.upcalls.owed++
	return nil
}

// sendUnsent queues the answers for which there was no room.
func (c *Client) sendUnsent() {
	rest := c.upcalls.unsent
	for len(rest) > 0 {
		end := headerSize + int(binary.BigEndian.Uint32(rest[lengthSize:]))
		err := c.stream.Commit(append(c.stream.AppendBuffer(), rest[:end]...))
		if err == reactor.ErrBufferFull && c.stream.Buffered() > 0 {
			break
		}
		if err == reactor.ErrBufferFull { // it never fits
			_, id := Evfork.split(binary.BigEndian.Uint32(rest))
			_ = c.stream.Commit(appendFrame(c.stream.AppendBuffer(), kindError.word(id), c.encodeFailure(ErrTooLarge)))
		}
		c.upcalls.owed--
		rest = rest[end:] // any other error means that the child is going
	}
	if len(rest) == 0 {
		c.upcalls.unsent = nil
		return
	}
	c.upcalls.unsent = append(c.upcalls.unsent[:0], rest...)
}

// holdCalls takes the child's word that it wants calls, or none for now.
func (c *Client) holdCalls(id uint32) error {
	if id > holdOn {
		return violation("frame of kind %d with id %d", kindHold, id)
	}
	c.upcalls.hold = id == holdOn
	return nil
}

// holdsBack reports whether no call may be made for the sake of the child's calls.
func (c *Client) holdsBack() bool { return c.upcalls.hold || len(c.upcalls.unsent) > 0 }

// endUpcalls tells those who answer the child's calls that it is gone.
func (c *Client) endUpcalls() { c.upcalls.open.tellAll(c.upcallLost()) }

// upcallLost is endErr for those who answer calls of the child: they have begun them.
func (c *Client) upcallLost() error { return &LostError{Cause: errors.Unwrap(c.endErr), Started: true} }
