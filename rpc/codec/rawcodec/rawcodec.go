// Package rawcodec is the codec of requests and replies that are bytes already.
package rawcodec

import "fmt"

// Codec is an rpc.Codec for the types []byte, string, and struct{}, which is no
// bytes. The zero value is the codec.
//
// A []byte that was decoded is a view of what was received: in a handler it is
// valid until that returns, in a callback of Go likewise; Call and FanOut return
// bytes that are the caller's own. A string is a copy. Nothing else is allocated.
type Codec struct{}

// Name is "raw".
func (Codec) Name() string { return "raw" }

// Append implements rpc.Codec.
func (Codec) Append(buf []byte, value any) ([]byte, error) {
	switch v := value.(type) {
	case *[]byte:
		return append(buf, *v...), nil
	case *string:
		return append(buf, *v...), nil
	case *struct{}:
		return buf, nil
	}
	return nil, unsupported(value)
}

// Decode implements rpc.Codec. Any bytes are valid, but for struct{}.
func (Codec) Decode(data []byte, value any) error {
	switch v := value.(type) {
	case *[]byte:
		*v = data[:len(data):len(data)]
	case *string:
		*v = string(data)
	case *struct{}:
		if len(data) > 0 {
			return fmt.Errorf("rawcodec: %d bytes where there should be none", len(data))
		}
	default:
		return unsupported(value)
	}
	return nil
}

func unsupported(value any) error {
	return fmt.Errorf("rawcodec: cannot encode or decode %T: it takes pointers to []byte, string and struct{}", value)
}
