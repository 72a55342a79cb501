package rpc

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// decoder cuts a stream of bytes into frames. A frame that lies whole in the
// bytes fed is delivered where it is; only one that was begun in one feed and
// ended in another is copied, to where it is joined.
//
//	d.feed(data)
//	for d.next() { … d.word, d.payload … }
//	if d.err != nil { … }
type decoder struct {
	limit      uint32
	hello      bool // the first frame is a hello, which has a limit of its own
	lengthOnly bool // headers have no word
	word       uint32
	payload    []byte // valid until the next feed or next
	err        error

	in        []byte      // not yet looked at
	partial   frameBuffer // the beginning of a frame
	delivered bool        // the frame in partial has been
}

func (d *decoder) feed(data []byte) { d.in = data }

// next finds the next whole frame. It returns false when the input is used up,
// what is left having been kept, and after an error, which is final.
func (d *decoder) next() bool {
	if len(d.partial.bytes) > 0 || d.err != nil || d.lengthOnly || len(d.in) < headerSize {
		return d.nextOther()
	}
	header := binary.BigEndian.Uint64(d.in)
	size := uint32(header)
	end := headerSize + int(size)
	if size > d.limit || end > len(d.in) {
		return d.nextOther()
	}
	d.hello = false
	d.word = uint32(header >> 32)
	d.payload = d.in[headerSize:end:end]
	d.in = d.in[end:]
	return true
}

// nextOther is next for what is not an ordinary frame that lies whole in the input.
func (d *decoder) nextOther() bool {
	if len(d.partial.bytes) > 0 || d.err != nil {
		return d.nextPartial()
	}
	header := d.header()
	if len(d.in) < header {
		d.fill(header)
		return false
	}
	size := binary.BigEndian.Uint32(d.in[header-lengthSize:])
	if size > d.limit && !d.mayBeHello(size) {
		d.fail(d.in)
		return false
	}
	end := header + int(size)
	if len(d.in) < end {
		d.fill(end)
		return false
	}
	d.hello = false
	d.word = d.wordOf(d.in)
	d.payload = d.in[header:end:end]
	d.in = d.in[end:]
	return true
}

// nextPartial completes the frame that was begun, or goes on behind it.
func (d *decoder) nextPartial() bool {
	if d.err != nil {
		return false
	}
	if d.delivered {
		d.delivered = false
		d.partial.reset()
		return d.next()
	}
	header := d.header()
	if !d.fill(header) {
		return false
	}
	size := binary.BigEndian.Uint32(d.partial.bytes[header-lengthSize:])
	if size > d.limit && !d.mayBeHello(size) {
		d.fail(append(d.partial.bytes, d.in[:min(len(d.in), quoteLimit)]...))
		return false
	}
	if !d.fill(header + int(size)) {
		return false
	}
	d.hello = false
	d.word = d.wordOf(d.partial.bytes)
	d.payload = slices.Clip(d.partial.bytes[header:])
	d.delivered = true
	return true
}

// header is the size of a header.
func (d *decoder) header() int {
	if d.lengthOnly {
		return lengthSize
	}
	return headerSize
}

// wordOf is the word of a whole frame, 0 if frames have none.
func (d *decoder) wordOf(frame []byte) uint32 {
	if d.lengthOnly {
		return 0
	}
	return binary.BigEndian.Uint32(frame)
}

// maxHello is how long a hello may be, whatever MaxFrame is.
const maxHello = 4096

func (d *decoder) mayBeHello(size uint32) bool { return d.hello && size <= maxHello }

// fill moves input to partial until that has n bytes.
func (d *decoder) fill(n int) bool {
	take := min(max(n-len(d.partial.bytes), 0), len(d.in))
	d.partial.add(d.in[:take], n)
	d.in = d.in[take:]
	return len(d.partial.bytes) >= n
}

// pending is how many bytes of an unfinished frame have been received.
func (d *decoder) pending() int {
	if d.delivered {
		return 0
	}
	return len(d.partial.bytes)
}

func (d *decoder) fail(frame []byte) {
	size := binary.BigEndian.Uint32(frame[d.header()-lengthSize:])
	d.err = &ProtocolError{Text: printable(frame), What: fmt.Sprintf("frame of %d bytes, more than the limit of %d", size, d.limit)}
}
