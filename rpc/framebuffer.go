package rpc

import "sync"

// A frameBuffer is where the parts of a frame are joined that did not come in one
// read. It grows with the bytes received, never with what a header claims. The
// buffer of a large frame is lent by a pool: frames of that size follow each
// other without a new one, and the garbage collector gets what is not used.
type frameBuffer struct {
	bytes []byte
	small []byte  // the buffer's own, while bytes is lent
	lent  *[]byte // bytes, while it is from the pool
}

// partialKept is how large a frame's buffer is the decoder's own: what one read
// brings.
const partialKept = readSize

// largeFrames has buffers for frames of more than partialKept bytes.
var largeFrames sync.Pool

// add appends a part of a frame that will have size bytes.
func (b *frameBuffer) add(part []byte, size int) {
	switch need := len(b.bytes) + len(part); {
	case size <= partialKept:
	case b.lent == nil:
		b.borrow(need) // not more: small, which is kept, may have been made for longer frames
	case need > cap(b.bytes):
		b.borrow(min(max(need, 2*cap(b.bytes)), size))
	}
	b.bytes = append(b.bytes, part...)
}

// borrow moves what is there to a buffer of the pool, of that capacity at least.
func (b *frameBuffer) borrow(capacity int) {
	if b.lent == nil {
		b.small = b.bytes[:0]
		b.lent, _ = largeFrames.Get().(*[]byte)
	}
	if b.lent == nil {
		b.lent = new([]byte)
	}
	if cap(*b.lent) < capacity {
		*b.lent = make([]byte, 0, capacity)
	}
	b.bytes = append((*b.lent)[:0], b.bytes...)
}

// reset empties the buffer, and gives a large one back.
func (b *frameBuffer) reset() {
	b.bytes = b.bytes[:0]
	if b.lent != nil {
		largeFrames.Put(b.lent)
		b.bytes, b.small, b.lent = b.small, nil, nil
	}
}
