package rpc

import "time"

// CallOptions is what can be said about one call. The zero value says nothing.
type CallOptions struct {
	// Deadline is when the call ends with ErrDeadline, whatever the child does: by
	// the machine's clock, or the loop's Config.Clock if that was given. On the Evfork wire it
	// travels with the call, and the handler's ctx ends at it. A call that GoWith makes before the child's hello has come is sent
	// without: of that the child is told at the deadline, as with Cancel, and a handler of ServeSync that has begun it is not. The
	// zero Time: none.
	Deadline time.Time
}

// CallID names a call of one client that was made with GoWith, for Cancel. The
// zero value names none.
type CallID struct {
	id  uint32
	end uint64 // ids are used again; this is not
}

// GoWith is GoBytesTo with options, and tells which call it made. It does not
// allocate. A deadline that has passed already is no error of GoWith: the
// call is made and ends.
func (c *Client) GoWith(to Completion, options CallOptions, payload []byte) (CallID, error) {
	if err := c.refusal(); err != nil {
		return CallID{}, err
	}
	due := c.due(options)
	id, err := c.sendWith(to, options, due, payload)
	if err != nil {
		return CallID{}, err
	}
	return c.made(id, options, due), nil
}

// goEncoded is GoWith with a payload that is encoded at its place in the stream.
func (c *Client) goEncoded(to Completion, options CallOptions, encode func(buf []byte) ([]byte, error)) (CallID, error) {
	if err := c.refusal(); err != nil {
		return CallID{}, err
	}
	due := c.due(options)
	k, buf, start := c.frameOf(options, due)
	encoding := true
	defer func() {
		if encoding { // it cannot be encoded, or the codec has panicked
			c.stream.Commit(buf[:start])
		}
	}()
	encoded, err := encode(buf)
	if err != nil {
		return CallID{}, err
	}
	encoding = false
	id, err := c.send(k, encoded, start, to)
	if err != nil {
		return CallID{}, err
	}
	return c.made(id, options, due), nil
}

// now is the time that deadlines are measured by.
func (c *Client) now() time.Time { return c.timebase.now(c.loop) }

// due is a call's deadline since the client's timebase began, if it has one.
func (c *Client) due(options CallOptions) time.Duration {
	if options.Deadline.IsZero() {
		return 0
	}
	return c.timebase.at(options.Deadline)
}

// sendWith queues a call whose deadline, if it has one, is at due.
func (c *Client) sendWith(to Completion, options CallOptions, due time.Duration, payload []byte) (uint32, error) {
	k, buf, start := c.frameOf(options, due)
	return c.send(k, append(buf, payload...), start, to)
}

// frameOf begins the frame of a call, at buf[start:]: room for its header, and
// the metadata if it has some that the child understands.
func (c *Client) frameOf(options CallOptions, due time.Duration) (k kind, buf []byte, start int) {
	buf = c.stream.AppendBuffer()
	start = len(buf)
	buf = c.config.Wire.appendRoom(buf)
	if options.Deadline.IsZero() || !c.understands.metadata {
		return kindCall, buf, start
	}
	m := c.boundedBy(due)
	return kindMetaCall, m.append(buf), start
}

// boundedBy is the metadata of a call whose deadline is at due.
func (c *Client) boundedBy(due time.Duration) metadata {
	return metadata{bounded: true, absolute: c.timebase.absolute(due), left: due - c.timebase.at(c.now())}
}

// made schedules the deadline of the call that was sent last.
func (c *Client) made(id uint32, options CallOptions, due time.Duration) CallID {
	if !options.Deadline.IsZero() {
		c.expireAt(id, due)
	}
	return CallID{id, c.stream.Accepted()}
}
