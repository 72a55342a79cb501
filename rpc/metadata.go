package rpc

import (
	"encoding/binary"
	"time"
)

// A call with metadata is a frame whose payload begins with a metadata block: its
// length as a BER-compressed integer, and so many bytes of a STRING list of names
// and values. The call's own payload follows. Unknown names are ignored.
const metaDeadline = "deadline"

// deadlineSize is the length of a deadline: two 64-bit big-endian integers. The first is
// the sender's monotonic clock at the deadline, in nanoseconds, for a receiver that
// reads the same clock (0: none); the second is how much time was left when it
// was sent, for every other one.
const deadlineSize = 16

// appendMetadata appends a metadata block with a deadline.
func appendMetadata(buf []byte, absolute int64, left time.Duration) []byte {
	const block = 1 + len(metaDeadline) + 1 + deadlineSize
	buf = append(buf, byte(block), byte(len(metaDeadline)))
	buf = append(buf, metaDeadline...)
	buf = append(buf, deadlineSize)
	buf = binary.BigEndian.AppendUint64(buf, uint64(absolute))
	return binary.BigEndian.AppendUint64(buf, uint64(left))
}

// metadata is what a metadata block says.
type metadata struct {
	bounded  bool // there is a deadline
	absolute int64
	left     time.Duration
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
		if string(name) == metaDeadline {
			if len(value) < deadlineSize {
				return m, nil, violation("the deadline of a call has %d bytes", len(value))
			}
			m.bounded = true
			m.absolute = int64(binary.BigEndian.Uint64(value))
			m.left = time.Duration(binary.BigEndian.Uint64(value[8:]))
		}
	}
	return m, rest, nil
}
