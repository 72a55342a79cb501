// Package jsonlist encodes the lists that rpc's untyped calls carry as JSON
// arrays: AnyEvent::Fork::RPC's JSON serialiser. Both sides have to use it.
//
//	request, err := jsonlist.Encode("add", 1, 3)
//	err = client.GoBytes(func(reply rpc.Payload, err error) {
//		…
//		err = jsonlist.Decode(reply, &sum)
//	}, request)
//
// It is a package of its own so that programs that do not use it are not linked
// with encoding/json. Its functions are goroutine-safe and keep nothing.
package jsonlist

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/internal/listvalues"
)

// ErrNoList is what a payload gets that is JSON, but no array.
var ErrNoList = errors.New("jsonlist: payload is not a JSON array")

// Encode encodes a list of values; what they become is encoding/json's business. No
// value at all is the empty array. The payload is the caller's own.
func Encode(values ...any) (rpc.Payload, error) {
	if values == nil {
		values = []any{}
	}
	payload, err := json.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("jsonlist: %w", err)
	}
	return payload, nil
}

// Decode decodes the list's values into what the pointers point to, one after
// the other. It is an error if there are fewer values than pointers; more are
// passed over. What is decoded does not refer to the payload. After an
// error some of the values may have been set.
func Decode(payload rpc.Payload, into ...any) error {
	values, err := Split(payload)
	if err != nil {
		return err
	}
	return listvalues.Decode("jsonlist", values, into, json.Unmarshal)
}

// Split returns the list's values without decoding them, for lists whose first
// value says what the others are. They are copies.
func Split(payload rpc.Payload) ([]json.RawMessage, error) {
	var values []json.RawMessage
	if err := json.Unmarshal(payload, &values); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			return nil, ErrNoList
		}
		return nil, fmt.Errorf("jsonlist: %w", err)
	}
	if values == nil { // null
		return nil, ErrNoList
	}
	return values, nil
}
