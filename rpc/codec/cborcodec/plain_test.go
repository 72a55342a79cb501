package cborcodec_test

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"math/rand"
	"reflect"
	"strings"
	"testing"
	"testing/quick"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/evfork/evfork/rpc/codec/cborcodec"
)

type shade uint8

type point struct {
	X    int8 `cbor:"x"`
	Y    uint16
	Name string `json:"n"`
}

// everything has a field of each plain kind.
type everything struct {
	Flag    bool
	Int     int
	Int32   int32
	Int64   int64
	Uint    uint
	Uint8   uint8
	Uint64  uint64
	Float32 float32
	Float64 float64
	Text    string
	Bytes   []byte
	Shades  []shade
	Texts   []string
	Numbers []int16
	Point   point
	Points  []point
	Lists   [][]string
}

// skipping has fields that do not travel.
type skipping struct {
	hidden int
	Left   any `cbor:"-"`
	N      int
}

type tree struct {
	Label    string
	Branches []tree
}

type omitting struct {
	Text string `cbor:",omitempty"`
	N    int    `cbor:"n"`
}

type shouting string

func (s *shouting) UnmarshalText(text []byte) error {
	*s = shouting(bytes.ToUpper(text))
	return nil
}

var full = everything{
	Flag: true, Int: -1, Int32: math.MinInt32, Int64: math.MaxInt64, Uint: 23, Uint8: 24, Uint64: math.MaxUint64,
	Float32: 1.5, Float64: -0.1, Text: "täxt", Bytes: []byte{0, 255}, Shades: []shade{1, 2}, Texts: []string{"", "a"},
	Numbers: []int16{-300, 300}, Point: point{X: -128, Y: 65535, Name: "p"}, Points: []point{{}, {X: 1}},
	Lists: [][]string{nil, {}, {"b"}},
}

func TestPlainTypes(t *testing.T) {
	type list []list
	for _, c := range []struct {
		value            any
		decodes, encodes bool
	}{
		{everything{}, true, true},
		{tree{}, true, true},
		{list{}, true, true},
		{"", true, true},
		{[]shade{}, true, true},
		{skipping{}, true, true},
		{omitting{}, true, false},
		{[]omitting{}, true, false},
		{struct{ At time.Time }{}, false, false},
		{struct{ point }{}, false, false},
		{struct{ Next *point }{}, false, false},
		{struct{ By map[string]int }{}, false, false},
		{struct{ S shouting }{}, false, false},
		{struct {
			_ struct{} `cbor:",toarray"`
			N int
		}{}, false, false},
		{struct {
			N int `cbor:"1,keyasint"`
		}{}, false, false},
		{struct {
			A int `cbor:"N"`
			N int
		}{}, false, false},
		{big.Int{}, false, false},
		{cbor.Tag{}, false, false},
		{cbor.ByteString(""), false, false},
		{cbor.RawMessage{}, false, false},
		{[1]int{}, false, false},
	} {
		decodes, encodes := cborcodec.IsPlain(reflect.TypeOf(c.value))
		if decodes != c.decodes || encodes != c.encodes {
			t.Errorf("%T: %v and %v", c.value, decodes, encodes)
		}
	}
}

// agree decodes data into a T in both ways.
func agree[T any](t *testing.T, data []byte) {
	t.Helper()
	var ours, theirs T
	err, want := cborcodec.Codec{}.Decode(data, &ours), cborcodec.DecodeAny(data, &theirs)
	if fmt.Sprint(err) != fmt.Sprint(want) || fmt.Sprintf("%#v", ours) != fmt.Sprintf("%#v", theirs) {
		t.Fatalf("%x became\n%#v, %v\nand not\n%#v, %v", data, ours, err, theirs, want)
	}
}

func agreeAll(t *testing.T, data []byte) {
	t.Helper()
	agree[everything](t, data)
	agree[point](t, data)
	agree[tree](t, data)
	agree[omitting](t, data)
	agree[skipping](t, data)
	agree[[]string](t, data)
	agree[[]byte](t, data)
	agree[[]float32](t, data)
	agree[int64](t, data)
	agree[uint32](t, data)
	agree[float64](t, data)
	agree[bool](t, data)
}

// encodings are of values that are plain, and of such that look like them.
func encodings(t testing.TB) [][]byte {
	var all [][]byte
	values := []any{
		full, everything{}, tree{"root", []tree{{"a", nil}, {"b", []tree{}}}}, full.Point, omitting{N: 1}, omitting{"x", 2},
		full.Texts, full.Bytes, []float32{1, 2}, int64(-1), uint64(math.MaxUint64), 1.5, float32(0.1), math.NaN(), math.Inf(-1), true, nil,
		[]any{"a", nil}, []any{1, "b"}, map[string]any{"x": nil, "n": "p"}, map[string]any{"x": 1.0, "Y": 2}, map[string]any{"X": 1, "y": 2},
		map[string]any{"x": 1, "other": []int{1}}, map[any]any{1: 2, "n": "name"}, map[string]any{"x": 128}, map[string]any{"Y": -1},
		map[string]any{"n": []byte("bytes")}, "text", "\xff", cbor.Tag{Number: 55799, Content: "t"}, big.NewInt(1), time.Unix(0, 0),
	}
	deep := tree{Label: "leaf"}
	for levels := range 70 { // around each limit, which is half as many, since lists count, too
		if deep = (tree{Label: "t", Branches: []tree{deep}}); levels%16 < 2 || levels%16 > 13 {
			values = append(values, deep)
		}
	}
	for _, v := range values {
		encoded, err := cbor.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, encoded)
	}
	for _, s := range []string{
		"\xa2\x61x\x01\x61x\x02", "\xa1\x78\x01x\x18\x01", "\xbf\x61x\x01\xff", "\x9f\x61a\xff", "\x82\x61a\x60", "\x81\x7f\x61a\x61b\xff",
		"\x81\x5f\x41a\xff", "\xa1\x61n\x61\xff", "\x81\x61\xff", "\x9a\xff\xff\xff\xff", "\x9b\xff\xff\xff\xff\xff\xff\xff\xff", "\x5b\xff\xff\xff\xff\xff\xff\xff\xff",
		"\x3b\xff\xff\xff\xff\xff\xff\xff\xff", "\xf9\x3c\x00", "\xf8\x15", "\x1f", "\x1c", "\xe0", "", "\x00\x00", "\xfa\x7f\xc0\x00\x01", "\xfb\x7f\xf0\x00\x00\x00\x00\x00\x01",
		"\xa1\x41x\x01", "\xa0", "\x80", "\x40",
		"\x1c" + strings.Repeat("\x00", 16), "\x1f" + strings.Repeat("\x00", 128),
	} {
		all = append(all, []byte(s))
	}
	return all
}

// telling are bytes that mean something as a head, or are at the limit of a meaning.
var telling = []byte("\x00\x01\x17\x18\x19\x1a\x1b\x1c\x1f\x20\x37\x38\x3b\x40\x41\x58\x5f\x60\x61\x62\x78\x7b\x7f\x80\x81\x98\x9b\x9f" +
	"\xa0\xa1\xb8\xbf\xc0\xc2\xd8\xe0\xf3\xf4\xf5\xf6\xf7\xf8\xf9\xfa\xfb\xfe\xffnxyYX")

// Whatever comes, Decode does what package cbor does. Every byte of many encodings, and some
// of the long ones, is replaced by others, and each is cut there.
func TestPlainDecodingAgrees(t *testing.T) {
	for _, encoded := range encodings(t) {
		agreeAll(t, encoded)
		for i := range encoded {
			if len(encoded) > 256 && i%101 != 0 || testing.Short() && i%8 != 0 {
				continue
			}
			agreeAll(t, encoded[:i])
			changed := bytes.Clone(encoded)
			for _, b := range telling {
				changed[i] = b
				switch {
				case len(encoded) > 32:
					agree[everything](t, changed)
					agree[tree](t, changed)
				default:
					agreeAll(t, changed)
				}
			}
		}
	}
}

func FuzzPlainDecodingAgrees(f *testing.F) {
	for _, encoded := range encodings(f) {
		f.Add(encoded)
	}
	f.Fuzz(agreeAll)
}

func TestPlainListsHaveTheLimitOfOthers(t *testing.T) {
	agree[[]int8](t, append([]byte("\x9a\x00\x10\x00\x00"), make([]byte, 1<<20)...))
	agree[[]int8](t, append([]byte("\x9a\x00\x10\x00\x01"), make([]byte, 1<<20+1)...))
}

// What Append makes is what package cbor makes, and is decoded without it.
func TestPlainEncodingAgrees(t *testing.T) {
	check := func(v everything, branches tree) bool {
		return encodesAlike(t, v) && encodesAlike(t, branches)
	}
	if err := quick.Check(check, &quick.Config{MaxCount: 500, Rand: rand.New(rand.NewSource(1))}); err != nil {
		t.Error(err)
	}
	encodesAlike(t, full)
	encodesAlike(t, []uint64{0, 23, 24, 255, 256, 65535, 65536, math.MaxUint32, math.MaxUint32 + 1, math.MaxUint64})
	encodesAlike(t, []int64{-1, -24, -25, -256, -257, math.MinInt64})
	encodesAlike(t, []float32{0, math.MaxFloat32, float32(math.Inf(1)), float32(math.NaN())})
	encodesAlike(t, []float64{math.Copysign(0, -1), math.MaxFloat64, math.Inf(-1), math.NaN()})
	encodesAlike(t, omitting{})
	encodesAlike(t, skipping{hidden: 1, Left: 2, N: 3})
	encodesAlike(t, "\xff")
}

func encodesAlike[T any](t *testing.T, v T) bool {
	t.Helper()
	ours, err := cborcodec.Codec{}.Append([]byte("before"), &v)
	theirs, want := cborcodec.AppendAny([]byte("before"), &v)
	if err != nil || want != nil || !bytes.Equal(ours, theirs) {
		t.Errorf("%#v became\n%x, %v\nand not\n%x, %v", v, ours, err, theirs, want)
		return false
	}
	return true
}

func TestUsualEncodingsAreDecodedAsPlain(t *testing.T) {
	encoded, err := cborcodec.Codec{}.Append(nil, &full)
	if err != nil {
		t.Fatal(err)
	}
	var back everything
	if !cborcodec.DecodesPlain(encoded, &back) || !reflect.DeepEqual(back, full) {
		t.Errorf("%x became %+v", encoded, back)
	}
}
