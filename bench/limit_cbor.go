package main

import (
	"sync"

	"github.com/evfork/evfork/bench/internal/record"
	"github.com/evfork/evfork/rpc/codec/cborcodec"
)

// R6's limit: what package cbor takes for a request and its reply. A parent encodes requests and decodes replies, a child decodes and
// encodes. Each is a goroutine, and nothing passes between them.

func addCBOR(r *Registry) {
	r.Enter("R6", Contestant{Name: "package cbor alone", Calls: 300_000, GoParent: true, Run: encoded(record.Example, record.Record.Same)})
	r.Enter("R6", Contestant{Name: "package cbor alone, lists", Calls: 300_000, GoParent: true, Run: encoded(record.ExampleListed, record.Listed.Same)})
}

func encoded[T any](example func() T, same func(sent, back T) error) func(Sample) (Result, error) {
	return func(s Sample) (Result, error) {
		m, err := measure(s.Calls, func(calls int) error {
			var errs [2]error
			var sides sync.WaitGroup
			for i := range errs {
				sides.Go(func() { errs[i] = encodeAndDecode(calls, example(), same) })
			}
			sides.Wait()
			if errs[0] != nil {
				return errs[0]
			}
			return errs[1]
		})
		return m.throughput(), err
	}
}

// encodeAndDecode is one side's part of that many calls.
func encodeAndDecode[T any](calls int, value T, same func(sent, back T) error) error {
	var codec cborcodec.Codec
	var buffer []byte
	for range calls {
		var err error
		if buffer, err = codec.Append(buffer[:0], &value); err != nil {
			return err
		}
		var back T
		if err = codec.Decode(buffer, &back); err != nil {
			return err
		}
		if err = same(value, back); err != nil {
			return err
		}
	}
	return nil
}
