package rpc

import (
	"bytes"
	"fmt"
)

// What comes from the child: its hello, replies, parts of them, and events.

func (c *Client) onData(data []byte) {
	defer c.queue.endReplies() // also if a callback panics
	c.queue.beginReplies()
	c.setCork()
	c.decoder.feed(data)
	for !c.broken && c.decoder.next() {
		if err := c.frame(c.decoder.word, c.decoder.payload); err != nil {
			c.violated(err)
		}
	}
	if c.decoder.err != nil {
		c.violated(c.decoder.err)
	}
	c.queue.serve()
	c.checkDone()
}

// frame acts on one frame of the child.
func (c *Client) frame(word uint32, payload Payload) error {
	if !c.greeted {
		return c.takeHello(word, payload)
	}
	k, id := c.config.Wire.split(word)
	if k > kindError || word == eventID {
		return c.otherFrame(k, id, payload)
	}
	var to Completion
	if c.config.Wire == AnyEventSync {
		to = c.takeInTurn(id)
	} else {
		to = c.calls.take(id)
	}
	switch {
	case to == nil:
		text := printable(appendFrame(nil, word, payload))
		return &ProtocolError{What: fmt.Sprintf("reply to call %d, which is not in flight", id), Text: text}
	case k == kindError:
		to.Complete(nil, decodeRemoteError(payload, c.config.Sentinels))
	default:
		to.Complete(payload, nil)
	}
	return nil
}

// otherFrame acts on a frame that is not the end of a call.
func (c *Client) otherFrame(k kind, id uint32, payload Payload) error {
	switch k {
	case kindCall:
		return c.event(payload)
	case kindPart:
		return c.part(id, payload)
	case kindUpcall:
		return c.called(id, payload)
	case kindCancel:
		return c.upcallCanceled(id)
	case kindHold:
		return c.holdCalls(id)
	case kindCredit:
		return c.creditCame(id, payload)
	case kindExtension:
		return nil
	case kindHello:
		return violation("a second hello, a frame of kind %d: has the child made two servers?", k)
	}
	return violation("frame of unknown kind %d", k)
}

// takeHello takes the child's hello.
func (c *Client) takeHello(word uint32, payload Payload) error {
	theirs, err := parseHello(word, payload)
	switch {
	case err != nil:
	case bytes.Equal(payload, c.hello.append(nil)[headerSize:]): // a child that has as much to say states a window
		err = violation("the child sends back what it was sent")
	default:
		err = c.hello.conflict(&theirs)
	}
	if err != nil {
		return err
	}
	c.understands.metadata = theirs.has(featureMetadata)
	c.understands.cancel = theirs.has(featureCancel)
	c.understands.credits = c.understands.metadata && theirs.has(featureCredits)
	c.peerWindow = theirs.window
	c.greet()
	c.tellCancels()
	c.serveStreams()
	c.closeInput()
	return nil
}

func (c *Client) event(payload Payload) error {
	if c.config.OnEvent == nil {
		return violation("an event came, and Config.OnEvent is not set")
	}
	c.config.OnEvent(payload)
	return nil
}

// violated puts down a child that cannot be understood any more. Its calls end
// when it is gone.
func (c *Client) violated(err error) {
	if !c.broken {
		c.broken = true
		c.transport.Abort(err)
	}
}

// takeInTurn removes the call that a reply of AnyEventSync is to, the oldest, which an abandoned
// one may be; nil if there is none.
func (c *Client) takeInTurn(id uint32) Completion {
	if id != syncReply {
		return nil
	}
	return c.calls.takeOldest()
}
