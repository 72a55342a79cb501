// Package jsoncodec is encoding/json as a codec of requests and replies.
package jsoncodec

import (
	"encoding/json"
	"sync"
)

// Codec is an rpc.Codec for all types that encoding/json takes. Unknown members are
// ignored, missing ones stay zero, and <, > and & are not escaped. The zero value
// is the codec.
//
// What was decoded are copies. How much memory they take is bounded by the length
// of the text times the size of the largest element of a list (two bytes, "0,",
// are an element), and nesting is limited to 10,000 levels.
type Codec struct{}

// Name is "json".
func (Codec) Name() string { return "json" }

// encoder is a json.Encoder with where it writes: encoding/json cannot append.
type encoder struct {
	buf  []byte
	json *json.Encoder
}

// Write implements io.Writer.
func (e *encoder) Write(p []byte) (int, error) {
	e.buf = append(e.buf, p...)
	return len(p), nil
}

// encoders are kept only to be used again: which one is taken does not matter.
var encoders = sync.Pool{New: func() any {
	e := new(encoder)
	e.json = json.NewEncoder(e)
	e.json.SetEscapeHTML(false)
	return e
}}

// Append implements rpc.Codec. encoding/json copies the text once.
func (Codec) Append(buf []byte, value any) ([]byte, error) {
	e := encoders.Get().(*encoder)
	e.buf = buf
	err := e.json.Encode(value)
	out := e.buf
	e.buf = nil
	if err != nil {
		return nil, err // and e is not used again: a json.Encoder keeps its errors
	}
	encoders.Put(e)
	return out[:len(out)-1], nil // Encode ends with a newline
}

// Decode implements rpc.Codec.
func (Codec) Decode(data []byte, value any) error { return json.Unmarshal(data, value) }
