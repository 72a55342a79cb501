// Package gobcodec is encoding/gob as a codec of requests and replies.
package gobcodec

import (
	"bytes"
	"encoding/gob"
	"fmt"
)

// Codec is an rpc.Codec for all types that encoding/gob takes; struct{} is not one
// of them. The zero value is the codec.
//
// Each request and reply describes its types, because each must be readable by
// itself: for small values that is most of the bytes, and both sides compile
// their types anew, which takes microseconds where the other codecs take a
// fraction of one. It is for types that only gob can carry.
//
// What was decoded are copies. encoding/gob is not hardened against hostile input,
// says its documentation; it checks lengths against what was received.
type Codec struct{}

// Name is "gob".
func (Codec) Name() string { return "gob" }

// appender is the writer of an encoder.
type appender []byte

// Write implements io.Writer.
func (a *appender) Write(p []byte) (int, error) {
	*a = append(*a, p...)
	return len(p), nil
}

// Append implements rpc.Codec.
func (Codec) Append(buf []byte, value any) ([]byte, error) {
	out := appender(buf)
	if err := gob.NewEncoder(&out).Encode(value); err != nil {
		return nil, err
	}
	return out, nil
}

// Decode implements rpc.Codec.
func (Codec) Decode(data []byte, value any) error {
	in := bytes.NewReader(data)
	if err := gob.NewDecoder(in).Decode(value); err != nil {
		return err
	}
	if in.Len() > 0 {
		return fmt.Errorf("gobcodec: %d bytes after the value", in.Len())
	}
	return nil
}
