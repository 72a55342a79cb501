package rpc

import (
	"encoding/binary"
	"time"
)

// A call with metadata is a frame whose payload begins with a metadata block: its
// length as a BER-compressed integer, and so many bytes of a STRING list of names
// and values. The call's own payload follows. Unknown names are ignored.
const (
	metaDeadline = "deadline"
	metaWindow   = "window" // see creditSize
	metaInput    = "input"  // without a value
)

// deadlineSize is the length of a deadline: two 64-bit big-endian integers. The first is
// the sender's monotonic clock at the deadline, in nanoseconds, for a receiver that
// reads the same clock (0: none); the second is how much time was left when it
// was sent, for every other one.
const deadlineSize = 16

// metadata is what a metadata block says.
type metadata struct {
	bounded  bool // there is a deadline
	absolute int64
	left     time.Duration

	limited bool // the parts of the reply run on credit
	window  int64
	input   bool // parts of the request follow
}

// maxMetadata is how long a block of ours is, at most, with its length.
const maxMetadata = 1 + 1 + len(metaDeadline) + 1 + deadlineSize + 1 + len(metaWindow) + 1 + creditSize + 1 + len(metaInput) + 1

// append appends a metadata block.
func (m *metadata) append(buf []byte) []byte {
	start := len(buf)
	buf = append(buf, 0) // the block's length: one byte holds those of all that there can be
	if m.bounded {
		buf = append(appendString(buf, metaDeadline), deadlineSize)
		buf = binary.BigEndian.AppendUint64(buf, uint64(m.absolute))
		buf = binary.BigEndian.AppendUint64(buf, uint64(m.left))
	}
	if m.limited {
		buf = append(appendString(buf, metaWindow), creditSize)
		buf = appendCredit(buf, m.window)
	}
	if m.input {
		buf = append(appendString(buf, metaInput), 0)
	}
	buf[start] = byte(len(buf) - start - 1)
	return buf
}

// parseMetadata takes the metadata block off a payload; rest is a view.
func parseMetadata(payload Payload) (m metadata, rest Payload, err error) {
	block, rest, err := payload.Next()
	if err != nil {
		return m, nil, violation("the metadata of a call is malformed")
	}
	for list := Payload(block); len(list) > 0; {
		var name, value []byte
		if name, list, err = list.Next(); err == nil {
			value, list, err = list.Next()
		}
		if err != nil {
			return m, nil, violation("the metadata of a call is malformed")
		}
		if err = m.set(name, value); err != nil {
			return m, nil, err
		}
	}
	return m, rest, nil
}

// set takes one name and its value. Names of later versions are passed over.
func (m *metadata) set(name, value []byte) error {
	switch string(name) {
	case metaDeadline:
		if len(value) < deadlineSize {
			return violation("the deadline of a call has %d bytes", len(value))
		}
		m.bounded = true
		m.absolute = int64(binary.BigEndian.Uint64(value))
		m.left = time.Duration(binary.BigEndian.Uint64(value[8:]))
	case metaWindow:
		if len(value) < creditSize {
			return violation("the window of a call has %d bytes", len(value))
		}
		m.limited = true
		m.window = clampCredit(binary.BigEndian.Uint64(value))
	case metaInput:
		m.input = true
	}
	return nil
}
