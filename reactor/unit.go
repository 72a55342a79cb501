package reactor

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
)

// defaultUnitLimit is how long a unit may be if nothing else is said.
const defaultUnitLimit = 1 << 20

// A Unit says where a piece of a byte stream ends: a line, a number of bytes, or
// a message behind its length. It is a plain value without state; a Reader cuts
// what it is fed into units. The zero Unit is Fixed(0).
type Unit struct {
	kind   unitKind
	prefix Prefix
	orEOF  bool
	limit  int // of the payload; the size of a fixed one
}

type unitKind uint8

const (
	unitFixed unitKind = iota
	unitLine
	unitPrefixed
)

// A Prefix is a way to write a length before a payload. The length counts the
// payload alone.
type Prefix uint8

// The prefixes.
const (
	Uint8     Prefix = iota
	Uint16BE         // big endian, as on most networks
	Uint16LE         // little endian
	Uint32BE         //
	Uint32LE         //
	Uint64BE         //
	Uint64LE         //
	Uvarint          // of encoding/binary, and of protocol buffers
	Netstring        // decimal digits and a colon, and a comma behind the payload
)

// Line ends with "\n" or "\r\n", which is not part of what is delivered. A line of
// more than limit bytes without that is ErrTooLong; 0: 1 MiB.
func Line(limit int) Unit { return Unit{kind: unitLine, limit: unitLimit(limit)} }

// Fixed is n bytes. Less than zero counts as zero: delivered without any bytes.
func Fixed(n int) Unit { return Unit{kind: unitFixed, limit: max(n, 0)} }

// Prefixed is a payload behind its length, which is not part of what is delivered.
// A length of more than limit is ErrTooLong; 0: 1 MiB. No memory is reserved for a
// length that is only announced.
func Prefixed(prefix Prefix, limit int) Unit {
	return Unit{kind: unitPrefixed, prefix: prefix, limit: unitLimit(limit)}
}

// OrEOF returns a unit that the EOF ends as well, if there is anything of it: the
// last line of a text that has no "\n" behind it.
func (u Unit) OrEOF() Unit {
	u.orEOF = true
	return u
}

// unitLimit leaves room for the longest prefix in an int.
func unitLimit(limit int) int {
	if limit <= 0 {
		return defaultUnitLimit
	}
	return min(limit, math.MaxInt-32)
}

// span is where a unit lies: p[from:to] is the payload, and the next one begins
// at p[end].
type span struct{ from, to, end int }

// find looks for the unit at the beginning of p, of which the first seen bytes
// were there at the last try. If it is not complete, need is how many bytes more
// are to be had before the next try can do better; what is found, and each error,
// is the same however the bytes come in.
func (u Unit) find(p []byte, seen int) (at span, need int, err error) {
	switch {
	case u.kind == unitFixed:
		return complete(span{0, u.limit, u.limit}, p)
	case u.kind == unitLine:
		return u.findLine(p, seen)
	case u.prefix == Netstring:
		return u.findNetstring(p)
	}
	header, length, err := u.prefix.decode(p)
	switch {
	case err != nil:
		return span{}, 0, err
	case header < 0:
		return span{}, -header, nil
	case length > uint64(u.limit):
		return span{}, 0, ErrTooLong
	}
	end := header + int(length)
	return complete(span{header, end, end}, p)
}

// complete says whether p is long enough.
func complete(at span, p []byte) (span, int, error) {
	if missing := at.end - len(p); missing > 0 {
		return span{}, missing, nil
	}
	return at, 0, nil
}

// decode returns the size of the header and the length in it; the size is
// negative if so many bytes more are needed to tell.
func (x Prefix) decode(p []byte) (header int, length uint64, err error) {
	if x == Uvarint {
		length, header = binary.Uvarint(p)
		switch {
		case header < 0:
			return 0, 0, ErrTooLong // more than 64 bits
		case header == 0:
			return -1, 0, nil
		}
		return header, length, nil
	}
	if header = x.size(); len(p) < header {
		return len(p) - header, 0, nil
	}
	switch x {
	case Uint8:
		length = uint64(p[0])
	case Uint16BE:
		length = uint64(binary.BigEndian.Uint16(p))
	case Uint16LE:
		length = uint64(binary.LittleEndian.Uint16(p))
	case Uint32BE:
		length = uint64(binary.BigEndian.Uint32(p))
	case Uint32LE:
		length = uint64(binary.LittleEndian.Uint32(p))
	case Uint64BE:
		length = binary.BigEndian.Uint64(p)
	case Uint64LE:
		length = binary.LittleEndian.Uint64(p)
	default:
		return 0, 0, ErrInvalid // a number that is no Prefix
	}
	return header, length, nil
}

// size is the size of a header that always has the same.
func (x Prefix) size() int {
	switch x {
	case Uint8:
		return 1
	case Uint16BE, Uint16LE:
		return 2
	case Uint32BE, Uint32LE:
		return 4
	case Uint64BE, Uint64LE:
		return 8
	}
	return 0
}

func (u Unit) findLine(p []byte, seen int) (span, int, error) {
	i := bytes.IndexByte(p[seen:], '\n')
	to := seen + i
	if i < 0 {
		to = len(p)
	}
	payload := to
	if payload > 0 && p[payload-1] == '\r' {
		payload-- // not part of the line, or not known yet
	}
	switch {
	case payload > u.limit:
		return span{}, 0, ErrTooLong
	case i < 0:
		return span{}, 1, nil
	}
	return span{0, payload, to + 1}, 0, nil
}

func (u Unit) findNetstring(p []byte) (span, int, error) {
	length := 0
	for i, c := range p {
		switch {
		case c == ':' && i > 0:
			at := span{i + 1, i + 1 + length, i + 1 + length + 1}
			if at.end <= len(p) && p[at.to] != ',' {
				return span{}, 0, ErrMalformed
			}
			return complete(at, p)
		case c < '0' || c > '9' || i > 0 && length == 0: // no leading zeros
			return span{}, 0, ErrMalformed
		}
		digit := int(c - '0')
		if length > u.limit/10 || 10*length+digit > u.limit {
			return span{}, 0, ErrTooLong
		}
		length = 10*length + digit
	}
	return span{}, 1, nil
}

// Append appends a payload as a unit, for the other side to read: a length before
// it, or "\n" behind it. It does not check that the payload fits: that the
// length fits the prefix, that a line contains no "\n" and does not end with "\r".
func (u Unit) Append(buf, payload []byte) []byte {
	n := len(payload)
	switch {
	case u.kind == unitFixed:
		return append(buf, payload...)
	case u.kind == unitLine:
		return append(append(buf, payload...), '\n')
	}
	switch u.prefix {
	case Uint8:
		buf = append(buf, byte(n))
	case Uint16BE:
		buf = binary.BigEndian.AppendUint16(buf, uint16(n))
	case Uint16LE:
		buf = binary.LittleEndian.AppendUint16(buf, uint16(n))
	case Uint32BE:
		buf = binary.BigEndian.AppendUint32(buf, uint32(n))
	case Uint32LE:
		buf = binary.LittleEndian.AppendUint32(buf, uint32(n))
	case Uint64BE:
		buf = binary.BigEndian.AppendUint64(buf, uint64(n))
	case Uint64LE:
		buf = binary.LittleEndian.AppendUint64(buf, uint64(n))
	case Uvarint:
		buf = binary.AppendUvarint(buf, uint64(n))
	case Netstring:
		buf = append(append(strconv.AppendInt(buf, int64(n), 10), ':'), payload...)
		return append(buf, ',')
	}
	return append(buf, payload...)
}
