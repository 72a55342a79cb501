package rpc

import (
	"errors"
	"math/bits"
)

// Payload is what one frame carries: the octets of a list of values. The wire
// does not care how the list is encoded; the functions here use the serialiser
// STRING, AnyEvent::Fork::RPC's default, whose values are strings of bytes.
//
// A Payload given to a callback or a handler is a view: it is valid until that
// returns; slices.Clone makes a copy to keep. One that is returned by Call is the caller's own.
type Payload []byte

// clone is a copy. That of an empty payload is not nil: an empty reply is one.
func (p Payload) clone() Payload { return append(make(Payload, 0, len(p)), p...) }

// errBadList is what a payload that is no STRING list gets.
var errBadList = errors.New("rpc: payload is not a STRING list")

// Strings decodes a STRING list; the strings are copies.
func (p Payload) Strings() ([]string, error) {
	var values []string
	for len(p) > 0 {
		value, rest, err := p.Next()
		if err != nil {
			return nil, err
		}
		values = append(values, string(value))
		p = rest
	}
	return values, nil
}

// Next decodes the first value of a STRING list and returns the rest, both
// views. An empty list is an error.
func (p Payload) Next() (value []byte, rest Payload, err error) {
	var n uint64
	for i, b := range p {
		if n > 1<<(64-7)-1 {
			break
		}
		n = n<<7 | uint64(b&0x7f)
		if b&0x80 != 0 {
			continue
		}
		body := p[i+1:]
		if n > uint64(len(body)) {
			break
		}
		return body[:n:n], body[n:], nil
	}
	return nil, nil, errBadList
}

// Strings encodes a STRING list.
func Strings(values ...string) Payload { return AppendStrings(nil, values...) }

// AppendStrings appends the encoding of a STRING list to buf: each value after
// its length as a BER-compressed integer (base 128, most significant group
// first, the high bit set on all bytes but the last), Perl's pack "(w/a*)*".
func AppendStrings(buf []byte, values ...string) []byte {
	for _, v := range values {
		buf = appendString(buf, v)
	}
	return buf
}

// appendString appends one value of a STRING list.
func appendString(buf []byte, s string) []byte {
	return append(appendBER(buf, uint64(len(s))), s...)
}

func appendBER(buf []byte, n uint64) []byte {
	if n < 0x80 {
		return append(buf, byte(n))
	}
	for shift := (bits.Len64(n) - 1) / 7 * 7; shift > 0; shift -= 7 {
		buf = append(buf, byte(n>>shift)|0x80)
	}
	return append(buf, byte(n)&0x7f)
}

// AppendByteStrings is AppendStrings for values that are slices.
func AppendByteStrings(buf []byte, values ...[]byte) []byte {
	for _, v := range values {
		buf = append(appendBER(buf, uint64(len(v))), v...)
	}
	return buf
}
