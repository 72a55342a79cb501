// Package gobcodec is encoding/gob as a codec of requests and replies.
package gobcodec

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"reflect"
)

// Codec is an rpc.Codec for all types that encoding/gob takes; struct{} is not one
// of them. The zero value is the codec.
//
// Each request and reply describes its types, because each must be readable by
// itself: for small values that is most of the bytes, and both sides compile
// their types anew, which takes microseconds where the other codecs take a
// fraction of one. It is for types that only gob can carry.
//
// What was decoded are copies. encoding/gob is not hardened against hostile input, says its
// documentation: a few bytes have it make room for any number of a map's entries, and a list that is long
// enough, of links that point to the next, ends the process. So each encoding is looked
// through before encoding/gob sees it: lengths against the bytes that are there, and no more than
// 10,000 levels of nesting. Then the memory that it takes is bounded by the length of the encoding times the
// size of the largest element. Types that have interfaces somewhere are exempt: whose values these are is known to
// encoding/gob only. A value in an interface of which the
// type decoded into has none is an error, where encoding/gob skips it. Let no child that may lie send such types, or use another codec.
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
	look := check
	if hasInterfaces(reflect.TypeOf(value)) {
		look = checkMessages
	}
	if err := look(data); err != nil {
		return err
	}
	in := bytes.NewReader(data)
	if err := gob.NewDecoder(in).Decode(value); err != nil {
		return err
	}
	if in.Len() > 0 {
		return fmt.Errorf("gobcodec: %d bytes after the value", in.Len())
	}
	return nil
}
