package rpc

import "time"

// CallOptions is what can be said about one call. The zero value says nothing.
type CallOptions struct {
	// Deadline is when the call ends with ErrDeadline, whatever the child does: by
	// the machine's clock, or the loop's Config.Clock if that was given. On the Evfork wire it
	// travels with the call, and the handler's ctx ends at it. The zero Time: none.
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
	var due time.Duration
	if !options.Deadline.IsZero() {
		due = c.timebase.at(options.Deadline)
	}
	id, err := c.sendWith(to, options, due, payload)
	if err != nil {
		return CallID{}, err
	}
	if !options.Deadline.IsZero() {
		c.calls.schedule(id, due)
		c.armTimer()
	}
	return CallID{id, c.stream.Accepted()}, nil
}

// sendWith queues a call whose deadline, if it has one, is at due.
func (c *Client) sendWith(to Completion, options CallOptions, due time.Duration, payload []byte) (uint32, error) {
	k := kindCall
	buf := c.stream.AppendBuffer()
	start := len(buf)
	buf = append(buf, noHeader[:c.config.Wire.callHeaderSize()]...)
	if !options.Deadline.IsZero() && c.understands.metadata {
		k = kindMetaCall
		m := c.boundedBy(due)
		buf = m.append(buf)
	}
	return c.send(k, append(buf, payload...), start, to)
}

// boundedBy is the metadata of a call whose deadline is at due.
func (c *Client) boundedBy(due time.Duration) metadata {
	return metadata{bounded: true, absolute: c.timebase.absolute(due), left: due - c.timebase.at(c.loop.Now())}
}
