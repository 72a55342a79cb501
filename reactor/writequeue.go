package reactor

import "github.com/valyala/bytebufferpool"

// chunkSize is when a chunk of the queue is full and the next one begins: large
// enough that a batch of small frames is one chunk and one write, small enough
// that a backlog is not moved about as it grows.
const chunkSize = 64 << 10

// writeQueue holds the bytes that wait to be written, in pooled chunks, oldest
// first. Empty, it holds none. A chunk is longer than chunkSize only if the last
// append to it was large.
type writeQueue struct {
	chunks []*bytebufferpool.ByteBuffer
	last   *bytebufferpool.ByteBuffer // chunks' last, where the next append goes
	head   int                        // bytes of chunks[0] that have been written
	size   int                        // bytes waiting
}

func (q *writeQueue) len() int { return q.size }

// tail returns the chunk to append to.
func (q *writeQueue) tail(from *chunkCache) []byte {
	if q.last != nil && len(q.last.B) < chunkSize {
		return q.last.B
	}
	q.last = from.get()
	q.chunks = append(q.chunks, q.last)
	return q.last.B
}

// commit takes back the tail with n bytes appended to it.
func (q *writeQueue) commit(buf []byte, n int) {
	q.last.B = buf
	q.size += n
}

// add queues a copy of p, in chunks that are no longer than chunkSize.
func (q *writeQueue) add(p []byte, from *chunkCache) {
	for len(p) > 0 {
		tail := q.tail(from)
		n := min(len(p), chunkSize-len(tail))
		q.commit(append(tail, p[:n]...), n)
		p = p[n:]
	}
}

// rollback takes back the tail without what was appended to it.
func (q *writeQueue) rollback(to *chunkCache) {
	if q.last != nil && len(q.last.B) == 0 {
		q.release(len(q.chunks)-1, to)
		q.chunks = q.chunks[:len(q.chunks)-1]
		q.relink()
	}
}

// relink finds the last chunk again.
func (q *writeQueue) relink() {
	q.last = nil
	if n := len(q.chunks); n > 0 {
		q.last = q.chunks[n-1]
	}
}

// transfer is how much the next writeTo will offer the kernel.
func (q *writeQueue) transfer() int { return min(q.size, maxTransfer) }

// writeTo offers the oldest bytes to the kernel in one system call.
func (q *writeQueue) writeTo(fd int) (int, error) {
	first := q.chunks[0].B[q.head:]
	if len(q.chunks) == 1 || len(first) >= maxTransfer {
		return sysWrite(fd, first[:min(len(first), maxTransfer)])
	}
	var bufs [maxVectors][]byte
	bufs[0] = first
	n := 1
	for ; n < min(len(q.chunks), maxVectors); n++ {
		bufs[n] = q.chunks[n].B
	}
	return sysWritev(fd, bufs[:n])
}

// advance drops n written bytes from the front.
func (q *writeQueue) advance(n int, to *chunkCache) {
	q.size -= n
	q.head += n
	done := 0
	for done < len(q.chunks) && q.head >= len(q.chunks[done].B) {
		q.head -= len(q.chunks[done].B)
		q.release(done, to)
		done++
	}
	if done > 0 {
		rest := copy(q.chunks, q.chunks[done:])
		clear(q.chunks[rest:])
		q.chunks = q.chunks[:rest]
		q.relink()
	}
}

func (q *writeQueue) drop(to *chunkCache) {
	for i := range q.chunks {
		q.release(i, to)
	}
	*q = writeQueue{}
}

func (q *writeQueue) release(i int, to *chunkCache) {
	to.put(q.chunks[i])
	q.chunks[i] = nil
}

const (
	// maxSpares is how many chunks a loop keeps for its next writes: as many streams as that may have something to write at the end
	// of an iteration.
	maxSpares = 64

	// maxSpareSize is the largest one that is kept: a full chunk, as append grows it.
	maxSpareSize = 2 * chunkSize

	// maxSpareBytes is how much memory all of them have, at most.
	maxSpareBytes = 4 * maxSpareSize
)

// chunkCache is a loop's own chunks, before the pool that all share. The pool
// gives away what is larger than most were lately, so that a large batch now
// and then, among many small ones, would grow its chunk anew each time; and the garbage collector empties it.
type chunkCache struct {
	spares [maxSpares]*bytebufferpool.ByteBuffer
	n      int
	bytes  int // of all spares
}

func (c *chunkCache) get() *bytebufferpool.ByteBuffer {
	if c.n == 0 {
		return bytebufferpool.Get()
	}
	c.n--
	b := c.spares[c.n]
	c.spares[c.n] = nil
	c.bytes -= cap(b.B)
	return b
}

func (c *chunkCache) put(b *bytebufferpool.ByteBuffer) {
	if c.n == maxSpares || cap(b.B) > maxSpareSize || c.bytes+cap(b.B) > maxSpareBytes {
		bytebufferpool.Put(b)
		return
	}
	b.Reset()
	c.spares[c.n] = b
	c.n++
	c.bytes += cap(b.B)
}
