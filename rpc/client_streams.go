package rpc

import "github.com/evfork/evfork/internal/callback"

// streams is a client's streamed calls.
type streams struct {
	open    int             // those that have not ended
	waiting []*streamedCall // have something to send for which there was no room
	ends    []uint32        // ends of requests of which the child must be told although the call is over
	early   int             // the bytes of requests that wait for the hello: they are in no buffer yet
	full    bool            // one more was refused, and some of these still wait
}

// admit counts a request that has to wait for the hello, and refuses it if there would be more than limit
// bytes. A single one always fits, as in the buffer.
func (s *streams) admit(request []byte, limit int) error {
	if s.early > 0 && len(request) > limit-s.early {
		s.full = true
		return ErrFull
	}
	s.early += len(request)
	return nil
}

// leave is told of bytes that do not wait any more.
func (s *streams) leave(early int) {
	if s.early -= early; s.early == 0 {
		s.full = false
	}
}

// canEverSend reports whether a part is short enough, also for a buffer that is empty.
func (c *Client) canEverSend(part []byte) bool {
	return uint64(len(part)) <= uint64(c.maxFrame) && partCost(len(part)) <= int64(c.config.MaxBuffered)
}

// serveStreams has streamed calls send what they could not send before.
func (c *Client) serveStreams() {
	if !c.greeted {
		return // there is room, but nobody knows whether the child has such calls
	}
	ends := c.streams.ends
	c.streams.ends = nil
	for _, id := range ends {
		c.endParts(id)
	}
	list := c.streams.waiting
	c.streams.waiting = nil
	callback.All(&list, func(s *streamedCall) {
		s.listed = false
		s.goOn()
	})
	c.checkDone()
}

// endParts tells the child that no part of the request follows, of a call that is over, now or when
// there is room; not before it has been told of a cancel, or it would take the parts for whole.
func (c *Client) endParts(id uint32) {
	if len(c.untold) > 0 || c.control(kindPartsEnd.word(id), nil) == ErrFull {
		c.streams.ends = append(c.streams.ends, id)
	}
}

// creditCame is a credit for parts of a request.
func (c *Client) creditCame(id uint32, payload Payload) error {
	n, err := parseCredit(id, payload)
	if err != nil {
		return err
	}
	if e := c.calls.find(id); e != nil {
		if s, ok := e.to.(*streamedCall); ok && s.meta.input && s.started { // else the child knows of no such call
			s.room = addCredit(s.room, n)
			s.end.mayGoOn()
			s.endInput()
		}
	}
	return nil
}

// closeInput ends the child's input when nothing more is to be sent: streamed calls
// need it to their end, and so do the child's own. The cancels of which it has not been told, and the ends of
// parts, go before that; until its hello nobody knows whether it wants cancels.
func (c *Client) closeInput() {
	if !c.closing || c.streams.open > 0 || c.hello.calls > 0 || c.endErr != nil || !c.greeted && len(c.untold) > 0 {
		return
	}
	var last []byte
	for _, id := range c.takeUntold() {
		last = appendFrame(last, kindCancel.word(id), nil)
	}
	c.closeAfter(last)
}

// closeAfter closes the child's input after some frames, and the ends of parts for which there was no room.
func (c *Client) closeAfter(last []byte) {
	for _, id := range c.streams.ends {
		last = appendFrame(last, kindPartsEnd.word(id), nil)
	}
	c.streams.ends = nil
	_ = c.stream.CloseWriteAfter(last) // an error means that it is gone, or was given its EOF before
}
