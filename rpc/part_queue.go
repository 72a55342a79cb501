package rpc

import "encoding/binary"

// partQueue is parts that wait, one behind the other in a few chunks, so that many
// small ones cost little more than their bytes.
type partQueue struct {
	chunks [][]byte // each part has its length in front of it
	read   int      // of the first chunk
	count  int
	cost   int64 // of all parts, see partCost
	spare  []byte
}

// partChunk is how large a chunk is, unless one part is larger.
const partChunk = 16 << 10

func (q *partQueue) empty() bool { return q.count == 0 }

// push copies a part to the end.
func (q *partQueue) push(part []byte) {
	need := lengthSize + len(part)
	last := len(q.chunks) - 1
	if last < 0 || cap(q.chunks[last])-len(q.chunks[last]) < need {
		q.chunks = append(q.chunks, q.chunk(need))
		last++
	}
	c := binary.BigEndian.AppendUint32(q.chunks[last], uint32(len(part)))
	q.chunks[last] = append(c, part...)
	q.count++
	q.cost += partCost(len(part))
}

// chunk returns an empty chunk with room for so many bytes.
func (q *partQueue) chunk(need int) []byte {
	if c := q.spare; need <= cap(c) {
		q.spare = nil
		return c
	}
	return make([]byte, 0, max(need, partChunk))
}

// front is the first part, a view that is valid until the next pop.
func (q *partQueue) front() Payload {
	q.forget()
	c := q.chunks[0][q.read:]
	end := lengthSize + int(binary.BigEndian.Uint32(c))
	return Payload(c[lengthSize:end:end])
}

// pop takes the first part away; it stays valid until the next call of front or pop.
func (q *partQueue) pop() Payload {
	part := q.front()
	q.read += lengthSize + len(part)
	q.count--
	q.cost -= partCost(len(part))
	return part
}

// forget drops a chunk whose parts have all been taken.
func (q *partQueue) forget() {
	if q.read == len(q.chunks[0]) {
		if c := q.chunks[0]; cap(c) == partChunk {
			q.spare = c[:0]
		}
		n := copy(q.chunks, q.chunks[1:])
		q.chunks[n] = nil
		q.chunks, q.read = q.chunks[:n], 0
	}
}

// clear drops all parts; one that was popped before stays valid.
func (q *partQueue) clear() { *q = partQueue{} }
