// Package stringcodec is AnyEvent::Fork::RPC's serialiser STRING as a codec of
// requests and replies: Perl's pack "(w/a*)*", a list of strings of bytes.
package stringcodec

import (
	"errors"
	"fmt"

	"github.com/evfork/evfork/rpc"
)

// Codec is an rpc.Codec for the types []string and [][]byte, a list; string and
// []byte, a list of one; and struct{}, an empty list. The zero value is the codec.
//
// What was decoded are copies. Their size is bounded by that of the encoding: an
// empty string takes one byte there, and its header 24 at most.
type Codec struct{}

// errTrailing: a list of one has more.
var errTrailing = errors.New("stringcodec: more values than one")

// Name is "string".
func (Codec) Name() string { return "string" }

// Append implements rpc.Codec.
func (Codec) Append(buf []byte, value any) ([]byte, error) {
	switch v := value.(type) {
	case *[]string:
		return rpc.AppendStrings(buf, *v...), nil
	case *[][]byte:
		return rpc.AppendByteStrings(buf, *v...), nil
	case *string:
		return rpc.AppendStrings(buf, *v), nil
	case *[]byte:
		return rpc.AppendByteStrings(buf, *v), nil
	case *struct{}:
		return buf, nil
	}
	return nil, unsupported(value)
}

// Decode implements rpc.Codec.
func (Codec) Decode(data []byte, value any) error {
	switch v := value.(type) {
	case *[]string:
		values, err := rpc.Payload(data).Strings()
		if err == nil {
			*v = values
		}
		return err
	case *[][]byte:
		return decodeList(data, v)
	case *string:
		one, err := only(data)
		*v = string(one)
		return err
	case *[]byte:
		one, err := only(data)
		*v = append([]byte(nil), one...)
		return err
	case *struct{}:
		if len(data) > 0 {
			return fmt.Errorf("stringcodec: %d bytes where there should be an empty list", len(data))
		}
		return nil
	}
	return unsupported(value)
}

func decodeList(data []byte, to *[][]byte) error {
	var list [][]byte
	for rest := rpc.Payload(data); len(rest) > 0; {
		value, tail, err := rest.Next()
		if err != nil {
			return err
		}
		list = append(list, append([]byte(nil), value...))
		rest = tail
	}
	*to = list
	return nil
}

// only decodes a list of one.
func only(data []byte) ([]byte, error) {
	value, rest, err := rpc.Payload(data).Next()
	if err == nil && len(rest) > 0 {
		return nil, errTrailing
	}
	return value, err
}

func unsupported(value any) error {
	return fmt.Errorf("stringcodec: cannot encode or decode %T: it takes pointers to []string, [][]byte, string, []byte and struct{}", value)
}
