package cborcodec_test

import (
	"encoding/hex"
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

// Where an int has 32 bits a length of more was taken for its low bits: GOARCH=386 go test.
func TestLengthsOfMoreThan32BitsAreErrors(t *testing.T) {
	for _, payload := range []string{"5b000000010000000161", "5b0000000100000000", "7b000000010000000161", "9b000000010000000101",
		"bb00000001000000010101", "815b000000010000000161", "db00000001000000015b000000010000000161"} {
		data, err := hex.DecodeString(payload)
		if err != nil {
			t.Fatal(err)
		}
		var value any
		if err := (cborcodec.Codec{}).Decode(data, &value); err == nil {
			t.Errorf("%s is %v", payload, value)
		}
	}
}
