// Package gobcodec is encoding/gob as a codec of requests and replies.
package gobcodec

import (
	"bytes"
	"encoding/gob"
	"errors"
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
// says its documentation; so lengths of messages are checked before it sees them,
// because for each it would make room for up to ten megabytes. So it still does for the length of
// a list in a message, once: the error comes when the message ends before the list does.
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
	if err := checkMessages(data); err != nil {
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

var errTruncated = errors.New("gobcodec: a message is longer than what was received")

// checkMessages walks over the messages of a gob: each is its length and so many
// bytes. A length below 128 is one byte; else it is big-endian behind the negated
// number of its bytes (encoding/gob's documentation, "Encoding Details").
func checkMessages(data []byte) error {
	for len(data) > 0 {
		length := uint64(data[0])
		data = data[1:]
		if length > 0x7f {
			n := int(-int8(length))
			if n < 1 || n > 8 || n > len(data) {
				return errTruncated
			}
			length = 0
			for _, b := range data[:n] {
				length = length<<8 | uint64(b)
			}
			data = data[n:]
		}
		if length > uint64(len(data)) {
			return errTruncated
		}
		data = data[length:]
	}
	return nil
}
