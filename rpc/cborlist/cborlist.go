// Package cborlist encodes the lists that rpc's untyped calls carry as CBOR
// arrays: AnyEvent::Fork::RPC's CBOR::XS serialiser. Both sides have to use it.
//
//	request, err := cborlist.Encode("add", 1, 3)
//	err = client.GoBytes(func(reply rpc.Payload, err error) {
//		…
//		err = cborlist.Decode(reply, &sum)
//	}, request)
//
// It is a package of its own so that programs that do not use it are not linked
// with github.com/fxamacker/cbor. Its functions are goroutine-safe and keep nothing.
package cborlist

import (
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/fxamacker/cbor/v2"

	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/internal/cboritems"
	"github.com/evfork/evfork/rpc/internal/listvalues"
)

// ErrNoList is what a payload gets that is CBOR, but no array.
var ErrNoList = errors.New("cborlist: payload is not a CBOR array")

// ErrReference is what a payload gets in which a value refers to another one (tags 25 and 29),
// as CBOR::XS writes data that is shared.
var ErrReference = errors.New("cborlist: a value of the payload refers to another")

// The limits of a payload are those of rpc/codec/cborcodec.
const (
	maxElements = 1 << 20
	maxLevels   = 64
)

// decMode reads what Perl writes: its strings are byte strings unless they have
// characters above 255, and so are the keys of its hashes; tag 28 around a value says no
// more than that others could refer to it. A mode is immutable.
var decMode = sync.OnceValues(func() (cbor.DecMode, error) {
	return cbor.DecOptions{
		ByteStringToString:   cbor.ByteStringToStringAllowed,
		FieldNameByteString:  cbor.FieldNameByteStringAllowed,
		DefaultMapType:       reflect.TypeFor[map[string]any](),
		UnrecognizedTagToAny: cbor.UnrecognizedTagContentToAny,
		DupMapKey:            cbor.DupMapKeyEnforcedAPF,
		MaxArrayElements:     maxElements,
		MaxMapPairs:          maxElements,
		MaxNestedLevels:      maxLevels,
	}.DecMode()
})

// Encode encodes a list of values; what they become is the business of
// github.com/fxamacker/cbor: a string is text, a []byte is bytes. No value at all is the
// empty array. The payload is the caller's own.
func Encode(values ...any) (rpc.Payload, error) {
	if values == nil {
		values = []any{}
	}
	payload, err := cbor.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("cborlist: %w", err)
	}
	return payload, nil
}

// Decode decodes the list's values into what the pointers point to, one after
// the other. It is an error if there are fewer values than pointers; more are
// passed over. A string takes text and bytes; an any gets a []byte for bytes, and a
// map[string]any for a map. What is decoded does not refer to the payload. After an
// error some of the values may have been set.
func Decode(payload rpc.Payload, into ...any) error {
	values, err := Split(payload)
	if err != nil {
		return err
	}
	mode, err := decMode()
	if err != nil {
		return fmt.Errorf("cborlist: %w", err)
	}
	return listvalues.Decode("cborlist", values, into, mode.Unmarshal)
}

// Split returns the list's values without decoding them, for lists whose first
// value says what the others are. They are copies.
func Split(payload rpc.Payload) ([]cbor.RawMessage, error) {
	mode, err := decMode()
	if err != nil {
		return nil, fmt.Errorf("cborlist: %w", err)
	}
	var values []cbor.RawMessage
	if err := mode.Unmarshal(payload, &values); err != nil {
		if _, ok := errors.AsType[*cbor.UnmarshalTypeError](err); ok {
			return nil, ErrNoList
		}
		return nil, fmt.Errorf("cborlist: %w", err)
	}
	if values == nil { // null
		return nil, ErrNoList
	}
	switch refers, err := cboritems.HasReferences(payload); {
	case err != nil:
		return nil, fmt.Errorf("cborlist: %w", err)
	case refers:
		return nil, ErrReference
	}
	return values, nil
}
