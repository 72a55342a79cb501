package codec_test

import (
	"bytes"
	"maps"
	"os/exec"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/codec/cborcodec"
	"github.com/evfork/evfork/rpc/codec/gobcodec"
	"github.com/evfork/evfork/rpc/codec/jsoncodec"
	"github.com/evfork/evfork/rpc/codec/rawcodec"
	"github.com/evfork/evfork/rpc/codec/stringcodec"
)

// record has one of everything that JSON, CBOR and gob share.
type record struct {
	Name   string
	Data   []byte
	Counts []int64
	Ratio  float64
	Flag   bool
	Labels map[string]string
	Next   *record
	At     time.Time
	Sizes  [4]uint16
}

// structural are the codecs of structs, simple those of strings and bytes.
var (
	structural = []rpc.Codec{jsoncodec.Codec{}, cborcodec.Codec{}, gobcodec.Codec{}}
	simple     = []rpc.Codec{rawcodec.Codec{}, stringcodec.Codec{}}
)

// through encodes a value behind other bytes and decodes it again.
func through[T any](t *testing.T, c rpc.Codec, value T) (back T) {
	t.Helper()
	buf, err := c.Append([]byte("before"), &value)
	if err != nil {
		t.Fatalf("%s: Append: %v", c.Name(), err)
	}
	encoded, ok := bytes.CutPrefix(buf, []byte("before"))
	if !ok {
		t.Fatalf("%s: Append has changed what was there: %q", c.Name(), buf)
	}
	if err := c.Decode(encoded, &back); err != nil {
		t.Fatalf("%s: Decode(%q): %v", c.Name(), encoded, err)
	}
	return back
}

func TestStructsComeBack(t *testing.T) {
	values := []record{
		{},
		{Name: "näme <&>", Data: []byte{0, 1, 255}, Counts: []int64{-1 << 63, 0, 1<<63 - 1}, Ratio: 0.1, Flag: true,
			Labels: map[string]string{"a": "", "": "b"}, Next: &record{Name: "inner"},
			At: time.Date(2026, 11, 25, 3, 4, 5, 678901234, time.UTC), Sizes: [4]uint16{1, 2, 3, 65535}},
	}
	for _, c := range structural {
		for _, v := range values {
			if back := through(t, c, v); !reflect.DeepEqual(back, v) {
				t.Errorf("%s: %+v became %+v", c.Name(), v, back)
			}
		}
	}
}

func TestStringsAndBytesComeBack(t *testing.T) {
	for _, c := range simple {
		for _, s := range []string{"", "a", strings.Repeat("x", 300), "\x00\xff"} {
			if back := through(t, c, s); back != s {
				t.Errorf("%s: %q became %q", c.Name(), s, back)
			}
			if back := through(t, c, []byte(s)); string(back) != s {
				t.Errorf("%s: %q became %q", c.Name(), s, back)
			}
		}
		through(t, c, struct{}{})
	}
	for _, list := range [][]string{nil, {""}, {"a", "", "b"}} {
		if back := through(t, rpc.Codec(stringcodec.Codec{}), list); !slices.Equal(back, list) {
			t.Errorf("%q became %q", list, back)
		}
		var slices [][]byte
		for _, s := range list {
			slices = append(slices, []byte(s))
		}
		back := through(t, rpc.Codec(stringcodec.Codec{}), slices)
		if len(back) != len(list) || string(bytes.Join(back, []byte("|"))) != strings.Join(list, "|") {
			t.Errorf("%q became %q", slices, back)
		}
	}
}

// What is appended needs no buffer of its own when there is room.
func TestAppendEncodesInPlace(t *testing.T) {
	value := "some text"
	for _, c := range slices.Concat(structural, simple) {
		room := make([]byte, 10, 1000)
		buf, err := c.Append(room, &value)
		if err != nil || &buf[0] != &room[0] {
			t.Errorf("%s has moved the buffer, or %v", c.Name(), err)
		}
	}
}

// Whoever receives may reuse the buffer: only rawcodec's slices are views.
func TestDecodedValuesAreCopies(t *testing.T) {
	v := record{Name: "name", Data: []byte("data"), Labels: map[string]string{"key": "value"}}
	for _, c := range structural {
		encoded, err := c.Append(nil, &v)
		if err != nil {
			t.Fatal(err)
		}
		var back record
		if err := c.Decode(encoded, &back); err != nil {
			t.Fatal(err)
		}
		clear(encoded)
		if !reflect.DeepEqual(back, v) {
			t.Errorf("%s: %+v after the buffer was cleared", c.Name(), back)
		}
	}
	list := [][]byte{[]byte("one"), []byte("two")}
	encoded, _ := stringcodec.Codec{}.Append(nil, &list)
	var back [][]byte
	if err := (stringcodec.Codec{}).Decode(encoded, &back); err != nil {
		t.Fatal(err)
	}
	clear(encoded)
	if string(back[0])+string(back[1]) != "onetwo" {
		t.Errorf("stringcodec: %q after the buffer was cleared", back)
	}
}

func TestRawBytesAreAViewThatCannotGrowIntoItsNeighbours(t *testing.T) {
	data := []byte("view and more")
	var view []byte
	if err := (rawcodec.Codec{}).Decode(data[:4], &view); err != nil {
		t.Fatal(err)
	}
	if &view[0] != &data[0] {
		t.Error("the bytes were copied")
	}
	_ = append(view, "XXXX"...)
	if string(data) != "view and more" {
		t.Errorf("appending to the view has changed what is behind it: %q", data)
	}
}

func TestUnsupportedTypesAreErrors(t *testing.T) {
	for _, c := range slices.Concat(structural, simple) {
		if _, err := c.Append(nil, new(chan int)); err == nil {
			t.Errorf("%s encodes a channel", c.Name())
		}
		// An error must not spoil the next value.
		if back := through(t, c, "after"); back != "after" {
			t.Errorf("%s: %q after an error", c.Name(), back)
		}
		var to chan int
		if err := c.Decode([]byte("x"), &to); err == nil {
			t.Errorf("%s decodes a channel", c.Name())
		}
	}
}

func TestTrailingBytesAreErrors(t *testing.T) {
	value := "text"
	for _, c := range append(slices.Clone(structural), stringcodec.Codec{}) {
		encoded, err := c.Append(nil, &value)
		if err != nil {
			t.Fatal(err)
		}
		var back string
		if err := c.Decode(append(encoded, 1), &back); err == nil {
			t.Errorf("%s takes %q with a byte behind it", c.Name(), back)
		}
	}
	for _, c := range simple {
		if err := c.Decode([]byte("x"), new(struct{})); err == nil {
			t.Errorf("%s takes a byte for nothing", c.Name())
		}
	}
}

// Encodings that claim much, or nest deeply, cost what was received.
func TestHostileEncodingsAreErrors(t *testing.T) {
	for name, hostile := range map[string]struct {
		codec rpc.Codec
		data  string
	}{
		"json, nested":           {jsoncodec.Codec{}, strings.Repeat("[", 1<<20)},
		"cbor, nested":           {cborcodec.Codec{}, strings.Repeat("\x81", 1<<20)},
		"cbor, nested maps":      {cborcodec.Codec{}, strings.Repeat("\xa1\x01", 1<<20)},
		"cbor, long list":        {cborcodec.Codec{}, "\x9b\x00\x00\x00\x00\x3f\xff\xff\xff\x01"},
		"cbor, long bytes":       {cborcodec.Codec{}, "\x5b\x00\x00\x00\x00\x7f\xff\xff\xff\x01"},
		"cbor, million and one":  {cborcodec.Codec{}, "\x9a\x00\x10\x00\x01" + strings.Repeat("\x01", 1<<20+1)},
		"cbor, key twice":        {cborcodec.Codec{}, "\xa2\x01\x01\x01\x02"},
		"gob, long message":      {gobcodec.Codec{}, "\xf8\x0f\xff\xff\xff\xff\xff\xff\xff"},
		"gob, gigabyte":          {gobcodec.Codec{}, "\xfc\x3f\xff\xff\xff\x01"},
		"gob, many fields":       {gobcodec.Codec{}, "\x15\xff\x81\x03\x01\x01\x06record\x01\xff\x82\x00\x01\xfd\x0f\xff\xff"},
		"string, length of 2^63": {stringcodec.Codec{}, "\x81\x80\x80\x80\x80\x80\x80\x80\x80\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			var to any
			target := any(&to)
			switch hostile.codec.Name() {
			case "string":
				target = new([]string)
			case "gob": // which knows types without interfaces only
				target = new(record)
			}
			before := allocated()
			if err := hostile.codec.Decode([]byte(hostile.data), target); err == nil {
				t.Error("no error")
			}
			if took := allocated() - before; took > bound(len(hostile.data)) {
				t.Errorf("%d bytes cost %d", len(hostile.data), took)
			}
		})
	}
}

// allocated is how many bytes this process has ever allocated.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// bound is what n hostile bytes may cost: an element of one byte may stand for the
// largest element of the types here, twice because lists grow by doubling, and gob
// compiles types.
func bound(n int) uint64 { return 4<<20 + uint64(n)*uint64(2*reflect.TypeFor[record]().Size()+256) }

// Whatever the bytes are, a decoder ends with a value or an error, and its memory
// is bounded by them; and a value that was decoded goes through unchanged.
func fuzzDecode[T any](f *testing.F, c rpc.Codec, same func(a, b T) bool, seeds ...T) {
	for _, v := range seeds {
		encoded, err := c.Append(nil, &v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(encoded)
	}
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		var value T
		input := slices.Clone(data)
		before := allocated()
		err := c.Decode(data, &value)
		if took := allocated() - before; took > bound(len(data)) {
			t.Errorf("%d bytes cost %d", len(data), took)
		}
		if !bytes.Equal(data, input) {
			t.Error("Decode has changed its input")
		}
		if err != nil {
			return
		}
		if back := through(t, c, value); !same(back, value) {
			t.Errorf("%#v became %#v", value, back)
		}
	})
}

// sameRecord takes nil and empty for the same, which some encodings do.
func sameRecord(a, b *record) bool {
	for a != nil && b != nil {
		if a.Name != b.Name || !bytes.Equal(a.Data, b.Data) || !slices.Equal(a.Counts, b.Counts) || a.Flag != b.Flag ||
			a.Ratio != b.Ratio && (a.Ratio == a.Ratio || b.Ratio == b.Ratio) || !maps.Equal(a.Labels, b.Labels) || !a.At.Equal(b.At) || a.Sizes != b.Sizes {
			return false
		}
		a, b = a.Next, b.Next
	}
	return a == b
}

func equalRecords(a, b record) bool { return sameRecord(&a, &b) }

var seedRecords = []record{{}, {Name: "n", Data: []byte("d"), Counts: []int64{1, -2}, Ratio: 1.5, Flag: true,
	Labels: map[string]string{"k": "v"}, Next: &record{Name: "inner"}, At: time.Unix(1, 2).UTC()}}

func FuzzJSON(f *testing.F) { fuzzDecode(f, jsoncodec.Codec{}, equalRecords, seedRecords...) }
func FuzzCBOR(f *testing.F) { fuzzDecode(f, cborcodec.Codec{}, equalRecords, seedRecords...) }
func FuzzGob(f *testing.F)  { fuzzDecode(f, gobcodec.Codec{}, equalRecords, seedRecords...) }

func FuzzString(f *testing.F) {
	fuzzDecode(f, stringcodec.Codec{}, slices.Equal[[]string], nil, []string{"a", ""})
}

func FuzzRaw(f *testing.F) { fuzzDecode(f, rawcodec.Codec{}, bytes.Equal, []byte("bytes")) }

// Values from all over their range go through every codec.
func FuzzRoundTrip(f *testing.F) {
	f.Add("name", []byte("data"), int64(-1), 0.5, true, "key", uint16(7), int64(1e18))
	f.Fuzz(func(t *testing.T, name string, data []byte, count int64, ratio float64, flag bool, key string, size uint16, nanos int64) {
		name, key = strings.ToValidUTF8(name, "?"), strings.ToValidUTF8(key, "?")
		if ratio != ratio || ratio-ratio != 0 {
			ratio = 0 // JSON has neither NaN nor infinity
		}
		v := record{Name: name, Data: data, Counts: []int64{count, -count}, Ratio: ratio, Flag: flag, Labels: map[string]string{key: name},
			Next: &record{Name: key}, At: time.Unix(0, nanos).UTC(), Sizes: [4]uint16{size, ^size}}
		for _, c := range structural {
			if back := through(t, c, v); !equalRecords(back, v) {
				t.Errorf("%s: %+v became %+v", c.Name(), v, back)
			}
		}
	})
}

// A worker must not pay for net, which nearly doubles its memory.
func TestCodecsDoNotImportNet(t *testing.T) {
	goCommand, err := exec.LookPath("go")
	if err != nil {
		t.Skip("there is no go command here to list imports")
	}
	out, err := exec.Command(goCommand, "list", "-deps", "./...").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if found := regexp.MustCompile(`(?m)^(net|os/user)$`).FindString(string(out)); found != "" {
		t.Errorf("a codec imports %s", found)
	}
}
