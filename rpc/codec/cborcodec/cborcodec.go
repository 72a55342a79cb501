// Package cborcodec is CBOR (RFC 8949) as a codec of requests and replies, by
// github.com/fxamacker/cbor. Beside it only package cborlist of this module imports that one.
package cborcodec

import (
	"bytes"
	"encoding"
	"fmt"
	"math/bits"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/evfork/evfork/rpc/internal/cboritems"
)

// Codec is an rpc.Codec for all types that github.com/fxamacker/cbor takes, with
// its struct tags (`cbor:"…"`, else `json:"…"`). The zero value is the codec.
//
// What was decoded are copies. The limits of a value: lists and maps of a million
// (2²⁰) elements, 64 levels of nesting, no key twice in a map. Elements are counted
// against the bytes received before there is memory for them, so that it is bounded by
// the length of the encoding times the size of the largest element.
//
// A struct is a map with the names of its fields, so that the two sides may know different fields of it. Without the names,
// as a list, it is encoded and decoded in 0.8 of the time, and shorter; but then both sides
// must have the same fields in the same order:
//
//	type Job struct {
//		_    struct{} `cbor:",toarray"`
//		Name string
//		Size int64
//	}
//
// Types with methods for their encoding cost more than the methods: see rpc.MethodlessCodec.
type Codec struct{}

const (
	maxElements = 1 << 20
	maxLevels   = 64
)

// Both modes are immutable once they are made.
var (
	encMode = sync.OnceValues(func() (cbor.UserBufferEncMode, error) {
		return cbor.EncOptions{Time: cbor.TimeRFC3339Nano}.UserBufferEncMode()
	})
	decMode = sync.OnceValues(func() (cbor.DecMode, error) {
		return cbor.DecOptions{
			DupMapKey:        cbor.DupMapKeyEnforcedAPF,
			MaxArrayElements: maxElements,
			MaxMapPairs:      maxElements,
			MaxNestedLevels:  maxLevels,
		}.DecMode()
	})
	buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}
)

// Name is "cbor".
func (Codec) Name() string { return "cbor" }

// Append implements rpc.Codec.
func (Codec) Append(buf []byte, value any) ([]byte, error) {
	mode, err := encMode()
	if err != nil {
		return nil, err
	}
	b := buffers.Get().(*bytes.Buffer)
	*b = *bytes.NewBuffer(buf) // appends in place
	err = mode.MarshalToBuffer(value, b)
	out := b.Bytes()
	*b = bytes.Buffer{}
	buffers.Put(b)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// CallsMethods implements rpc.MethodlessCodec.
func (Codec) CallsMethods(t reflect.Type) bool {
	if t == reflect.TypeFor[time.Time]() {
		return false // package cbor knows it
	}
	to := reflect.PointerTo(t)
	return slices.ContainsFunc(called, func(i reflect.Type) bool { return t.Implements(i) || to.Implements(i) })
}

// called is what package cbor, with these options, calls of a type that has it.
var called = []reflect.Type{
	reflect.TypeFor[cbor.Marshaler](),
	reflect.TypeFor[cbor.Unmarshaler](),
	reflect.TypeFor[encoding.BinaryMarshaler](),
	reflect.TypeFor[encoding.BinaryUnmarshaler](),
	reflect.TypeFor[interface{ IsZero() bool }](), // of fields with omitzero
}

// Decode implements rpc.Codec.
func (Codec) Decode(data []byte, value any) error {
	mode, err := decMode()
	if err != nil {
		return err
	}
	if bits.UintSize == 32 {
		if err := checkLengths(mode, data); err != nil {
			return err
		}
	}
	return mode.Unmarshal(data, value)
}

// checkLengths looks for lengths of more than 32 bits, which package cbor takes for their low ones where an int has no more.
func checkLengths(mode cbor.DecMode, data []byte) error {
	if err := mode.Wellformed(data); err != nil {
		return err
	}
	if err := cboritems.CheckLengths(data); err != nil {
		return fmt.Errorf("cborcodec: %w", err)
	}
	return nil
}
