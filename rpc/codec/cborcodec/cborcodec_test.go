package cborcodec_test

import (
	"testing"

	"github.com/evfork/evfork/rpc/codec/cborcodec"
)

// The same struct in the forms it can have on the wire.
type (
	named struct {
		ID       uint64
		Path     string
		Size     int64
		Modified float64
		Tags     []string
	}
	numbered struct {
		ID       uint64   `cbor:"1,keyasint"`
		Path     string   `cbor:"2,keyasint"`
		Size     int64    `cbor:"3,keyasint"`
		Modified float64  `cbor:"4,keyasint"`
		Tags     []string `cbor:"5,keyasint"`
	}
	listed struct {
		_        struct{} `cbor:",toarray"`
		ID       uint64
		Path     string
		Size     int64
		Modified float64
		Tags     []string
	}
)

var example = named{1_234_567, "/srv/images/2026/11/0042.jpeg", 3_482_113, 1_795_500_000.25, []string{"raw", "scanned"}}

func BenchmarkStruct(b *testing.B) {
	b.Run("map with names", func(b *testing.B) { benchmark(b, example) })
	b.Run("map with numbers", func(b *testing.B) { benchmark(b, numbered(example)) })
	b.Run("list", func(b *testing.B) {
		benchmark(b, listed{ID: example.ID, Path: example.Path, Size: example.Size, Modified: example.Modified, Tags: example.Tags})
	})
}

func benchmark[T any](b *testing.B, value T) {
	data, err := cborcodec.Codec{}.Append(nil, &value)
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, len(data))
	b.Run("Append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := (cborcodec.Codec{}).Append(buf, &value); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var back T
			if err := (cborcodec.Codec{}).Decode(data, &back); err != nil {
				b.Fatal(err)
			}
		}
	})
}
