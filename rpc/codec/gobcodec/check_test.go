package gobcodec

import (
	"bytes"
	"encoding/gob"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

// chain is a list of links.
type chain struct {
	Next *chain
	N    int
}

// everything has one of each kind that gob has, but no interface.
type everything struct {
	Bool    bool
	Int     int64
	Uint    uint8
	Float   float32
	Complex complex128
	String  string
	Bytes   []byte
	Array   [3]int16
	Bytes3  [3]byte
	List    []string
	Lists   [][]float64
	Map     map[string]int
	Maps    map[[2]int8][]map[uint16]chain
	Struct  struct{ A, B, C int }
	Empty   []struct{ A int }
	Time    time.Time
	Times   map[string]time.Time
	Text    textual
	Chain   *chain
}

// textual is bytes by BinaryMarshaler.
type textual struct{ s string }

func (t textual) MarshalBinary() ([]byte, error)     { return []byte(t.s), nil }
func (t *textual) UnmarshalBinary(data []byte) error { t.s = string(data); return nil }

func full() everything {
	return everything{
		Bool: true, Int: math.MinInt64, Uint: 255, Float: 1.5, Complex: complex(-1, math.MaxFloat64), String: "s", Bytes: []byte("b"),
		Array: [3]int16{1, 0, -1}, Bytes3: [3]byte{1, 2, 3}, List: []string{"", "a"}, Lists: [][]float64{{}, {1, 2}},
		Map: map[string]int{"": 0, "a": 1}, Maps: map[[2]int8][]map[uint16]chain{{1, 2}: {{}, {3: {Next: &chain{N: 1}}}}},
		Struct: struct{ A, B, C int }{C: 1}, Empty: []struct{ A int }{{}, {}},
		Time: time.Unix(1, 2).UTC(), Times: map[string]time.Time{"t": {}}, Text: textual{strings.Repeat("t", 300)}, Chain: &chain{Next: &chain{}},
	}
}

func encode(t *testing.T, value any) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := gob.NewEncoder(&out).Encode(value); err != nil {
		t.Fatalf("%T: %v", value, err)
	}
	return out.Bytes()
}

func TestWhatGobEncodesPassesTheCheck(t *testing.T) {
	for _, value := range []any{
		full(), everything{}, chain{}, true, -1, uint(7), 2.5, 1i, "text", []byte("bytes"), []int{1}, []string{}, map[string]string{"a": "b"},
		map[int]chain{}, [2]bool{true}, [0]int{}, time.Now(), textual{"t"}, []time.Time{{}}, struct{ A struct{ B []chain } }{}, new(int),
	} {
		if err := check(encode(t, value)); err != nil {
			t.Errorf("%T: %v", value, err)
		}
	}
}

// Every prefix is refused, and what no encoder makes does no harm.
func TestTruncatedEncodingsAreRefused(t *testing.T) {
	whole := encode(t, full())
	for n := range whole {
		if check(whole[:n]) == nil {
			t.Errorf("the first %d bytes of %d have passed", n, len(whole))
		}
	}
	for i := range whole {
		for _, b := range []byte{0, 0x7f, 0xf8} {
			changed := bytes.Clone(whole)
			changed[i] = b
			_ = Codec{}.Decode(changed, new(everything)) // refused or not, without a panic
		}
	}
}

// decodeError is the error of decoding an encoding with a part replaced by one of the same length.
func decodeError(t *testing.T, value any, old, new string) error {
	t.Helper()
	data := encode(t, value)
	if bytes.Count(data, []byte(old)) != 1 {
		t.Fatalf("%q is not once in %q", old, data)
	}
	data = bytes.Replace(data, []byte(old), []byte(new), 1)
	return Codec{}.Decode(data, reflect.New(reflect.TypeOf(value)).Interface())
}

// encoding/gob would make room for half a million entries.
func TestMapThatSaysItHasMoreEntriesThanThereAreBytes(t *testing.T) {
	type labels struct{ Labels map[string]string }
	if err := decodeError(t, labels{map[string]string{"key": "0123456789"}}, "\x01\x03key\x0a0123456789", "\xfd\x07\xff\xff\x00\x08012345678"); !errors.Is(err, errTruncated) {
		t.Error(err)
	}
}

func TestListThatSaysItHasMoreElementsThanThereAreBytes(t *testing.T) {
	if err := decodeError(t, []string{"0123456789"}, "\x01\x0a0123456789", "\xfd\x07\xff\xff\x07012345"); !errors.Is(err, errTruncated) {
		t.Error(err)
	}
}

// A type that is not needed for the value is looked through, too.
func TestFieldThatTheReceiverDoesNotHaveIsChecked(t *testing.T) {
	type newer struct {
		N     int
		Extra map[string]string
	}
	data := encode(t, newer{1, map[string]string{"key": "0123456789"}})
	var older struct{ N int }
	if err := (Codec{}).Decode(data, &older); err != nil || older.N != 1 {
		t.Errorf("%+v, %v", older, err)
	}
	data = bytes.Replace(data, []byte("\x01\x03key\x0a0123456789"), []byte("\xfd\x07\xff\xff\x00\x08012345678"), 1)
	if err := (Codec{}).Decode(data, &older); !errors.Is(err, errTruncated) {
		t.Error(err)
	}
}

// chainOf encodes a chain: gob's encoder needs as deep a stack as its decoder.
func chainOf(t *testing.T, links int) []byte {
	short := encode(t, chain{})
	definition := short[:1+short[0]]
	data := append(bytes.Clone(definition), 0xfc, byte((2*links+3)>>24), byte((2*links+3)>>16), byte((2*links+3)>>8), byte(2*links+3))
	data = append(data, 0xff, short[len(definition)+2]) // the type's number
	data = append(data, bytes.Repeat([]byte{1}, links)...)
	return append(data, bytes.Repeat([]byte{0}, links+1)...)
}

// Ten million levels would end the process, in encoding/gob.
func TestNestingIsLimited(t *testing.T) {
	var head chain
	if err := (Codec{}).Decode(chainOf(t, maxLevels-1), &head); err != nil {
		t.Fatal(err)
	}
	links := 0
	for l := head.Next; l != nil; l = l.Next {
		links++
	}
	if links != maxLevels-1 {
		t.Errorf("%d links", links)
	}
	for _, links := range []int{maxLevels, 1_000_000} {
		if err := (Codec{}).Decode(chainOf(t, links), &head); !errors.Is(err, errDeep) {
			t.Errorf("%d links: %v", links, err)
		}
	}
}

func TestTypesWithInterfacesAreLeftToGob(t *testing.T) {
	type box struct {
		Any any
		All []any
	}
	gob.Register(chain{})
	data := encode(t, box{Any: chain{N: 3}, All: []any{nil, "a", 1}})
	var b box
	if err := (Codec{}).Decode(data, &b); err != nil || b.Any != (chain{N: 3}) || len(b.All) != 3 {
		t.Errorf("%+v, %v", b, err)
	}
	for _, lie := range []string{"\xfc\x3f\xff\xff\xff\x01", "\x80", "\x05\x01"} {
		if err := (Codec{}).Decode([]byte(lie), &b); !errors.Is(err, errTruncated) {
			t.Errorf("%q: %v", lie, err)
		}
	}
	var none struct{ N int } // whose values would be looked through with other eyes than gob's
	if err := (Codec{}).Decode(data, &none); !errors.Is(err, errInterface) {
		t.Errorf("%+v, %v", none, err)
	}
}

func TestHasInterfaces(t *testing.T) {
	type inner struct{ A [2]map[string]*[]any }
	type hidden struct {
		a any
		B int
	}
	type loop struct {
		L []loop
		M map[string]*loop
	}
	for _, c := range []struct {
		value any
		want  bool
	}{
		{new(everything), false}, {new(any), true}, {new(inner), true}, {new(map[string]error), true}, {new(map[any]int), true},
		{new(hidden), false}, {new(loop), false}, {new(struct {
			L loop
			E error
		}), true}, {time.Time{}, false}, {nil, false},
	} {
		for range 2 {
			if got := hasInterfaces(reflect.TypeOf(c.value)); got != c.want {
				t.Errorf("%T: %v", c.value, got)
			}
		}
	}
	_ = hidden{}.a
}

// A number of a type of which encoding/gob takes the low 32 bits would be another type to the check.
func TestNumbersOfTypesAreNoLongerThanGobsOwn(t *testing.T) {
	data := encode(t, chain{N: 1})
	end := 1 + int(data[0])
	id := data[end+1 : end+3] // of the value's type, 66 or so, times 2 in one byte
	value := data[end+3:]
	for _, high := range []byte{0x02, 0x01} { // 1 << 32, and its half for the sign
		message := append([]byte{0xfb, high, 0, 0, 0, id[1]}, value...)
		lie := append(bytes.Clone(data[:end]), byte(len(message)))
		lie = append(lie, message...)
		if err := check(lie); !errors.Is(err, errCorrupt) {
			t.Errorf("%q: %v", lie, err)
		}
	}
}
