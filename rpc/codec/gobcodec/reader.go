package gobcodec

// reader reads the messages of a gob: each is its length and so many bytes. After an error there
// are no more bytes, and what is read is 0.
type reader struct {
	input []byte // messages that have not begun
	buf   []byte // what is left of the one that has
	err   error
}

// fail notes the first error.
func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.input, r.buf = nil, nil
}

// next begins the next message; of the one before nothing is left.
func (r *reader) next() {
	r.buf, r.input = r.input, nil
	length := r.uint()
	if length > uint64(len(r.buf)) {
		r.fail(errTruncated)
		return
	}
	r.buf, r.input = r.buf[:length], r.buf[length:]
}

// uint reads a number: below 128 it is one byte; else it is big-endian behind the negated number of its bytes.
func (r *reader) uint() uint64 {
	if len(r.buf) == 0 {
		r.fail(errTruncated)
		return 0
	}
	first := r.buf[0]
	r.buf = r.buf[1:]
	if first <= 0x7f {
		return uint64(first)
	}
	n := -int(int8(first))
	if n > 8 || n > len(r.buf) {
		r.fail(errTruncated)
		return 0
	}
	number := uint64(0)
	for _, b := range r.buf[:n] {
		number = number<<8 | uint64(b)
	}
	r.buf = r.buf[n:]
	return number
}

// int reads a number with a sign, which is its lowest bit.
func (r *reader) int() int64 {
	u := r.uint()
	i := int64(u >> 1)
	if u&1 != 0 {
		return ^i
	}
	return i
}

func (r *reader) skip(n uint64) {
	if n > uint64(len(r.buf)) {
		r.fail(errTruncated)
		return
	}
	r.buf = r.buf[n:]
}
