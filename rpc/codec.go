package rpc

import (
	"encoding/binary"
	"reflect"
)

// A Codec turns the requests and replies of methods into bytes and back. It must
// be usable by several goroutines at once. The packages below rpc/codec have
// five; others are as good.
type Codec interface {
	// Name says what the bytes are. It travels with each call, so that a method
	// declared with another codec at the other side is an error and not
	// misunderstood.
	Name() string
	// Append appends the encoding of *value to buf and returns the longer slice,
	// as the built-in does. buf is usually the stream's own, so that nothing is
	// copied: Append must neither keep it, nor change what is in it, nor make
	// calls. On an error what was appended is dropped.
	Append(buf []byte, value any) ([]byte, error)
	// Decode decodes data, all of it, into *value, which is zero. data is a view
	// of what was received and not the codec's to change. Unless the codec says
	// otherwise (rawcodec does), *value has no part in data afterwards.
	Decode(data []byte, value any) error
}

// A MethodlessCodec is a Codec that tells for which values it runs code of its own only. Of
// these it must encode and decode small ones in a few microseconds, without waiting for anything, and without runtime.Goexit, and what it
// has decoded must be copies: a view would be one of memory that is soon used for the replies to others.
// Method.Call then has requests encoded on the loop. So are replies decoded with one processor; with several those that
// come together are decoded by one of the goroutines that wait for them. Both are cheaper the more there are. With other
// codecs and values each goroutine encodes and decodes its own.
type MethodlessCodec interface {
	Codec
	// CallsMethods reports whether a method of a value of type t, or of a pointer to one, may be
	// called. The types that t consists of are asked about one by one.
	CallsMethods(t reflect.Type) bool
}

// A typed call is the STRING list of the method's name, the request, and the
// codec's name; its reply is the STRING list of the encoded reply. So it travels
// on AnyEvent's wires, too, whose programs see strings.

// lengthRoom is how many bytes are kept for the length of what a codec is about to
// append. A length with leading zero groups is as good as one without, so there
// is nothing to move when the true length is known. Five groups hold the lengths
// of all frames there can be.
const lengthRoom = 5

// appendEncoded appends one value of a STRING list, encoded in place.
func appendEncoded(buf []byte, codec Codec, value any) ([]byte, error) {
	start := len(buf) + lengthRoom
	buf, err := codec.Append(append(buf, 0x80, 0x80, 0x80, 0x80, 0), value)
	if err != nil {
		return nil, err
	}
	n := uint64(len(buf) - start)
	if n >= 1<<(7*lengthRoom) {
		return nil, ErrTooLarge
	}
	binary.BigEndian.PutUint32(buf[start-lengthRoom:],
		0x80808080|uint32(n>>28&0x7f)<<24|uint32(n>>21&0x7f)<<16|uint32(n>>14&0x7f)<<8|uint32(n>>7&0x7f))
	buf[start-1] = byte(n & 0x7f)
	return buf, nil
}

// splitCall takes a typed call apart. codec is "" if the caller did not name it, as
// one in Perl may not.
func splitCall(request Payload) (name, body, codec []byte, err error) {
	name, rest, err := request.Next()
	if err == nil {
		body, rest, err = rest.Next()
	}
	if err == nil && len(rest) > 0 {
		codec, _, err = rest.Next()
	}
	return name, body, codec, err
}
