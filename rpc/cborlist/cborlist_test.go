package cborlist_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os/exec"
	"reflect"
	"testing"

	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/cborlist"
)

func Example() {
	request, err := cborlist.Encode("add", 1, 3.5)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%x\n", request)
	var name string
	var a, b float64
	if err := cborlist.Decode(request, &name, &a, &b); err != nil {
		panic(err)
	}
	fmt.Println(name, a+b)
	// Output:
	// 836361646401fb400c000000000000
	// add 4.5
}

func TestListsComeBackAsTheyWere(t *testing.T) {
	for _, values := range [][]any{
		{},
		{nil, true, "", "smørrebrød <&> \u2028", 1.5},
		{[]any{"a", map[string]any{"b": []any{}}}, "\x00\x7f", []byte{0xff, 0}, uint64(7), int64(-7)},
	} {
		payload, err := cborlist.Encode(values...)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]any, len(values))
		into := make([]any, len(values))
		for i := range into {
			into[i] = &got[i]
		}
		if err := cborlist.Decode(payload, into...); err != nil || !reflect.DeepEqual(got, values) {
			t.Errorf("%v became %x and then %v, %v", values, payload, got, err)
		}
		if split, err := cborlist.Split(payload); err != nil || len(split) != len(values) {
			t.Errorf("%x has %d values, %v", payload, len(split), err)
		}
	}
}

func TestNoValueIsTheEmptyArray(t *testing.T) {
	if payload, err := cborlist.Encode(); err != nil || string(payload) != "\x80" {
		t.Errorf("it is %q, %v", payload, err)
	}
}

func TestValuesThatCBORCannotHoldAreErrors(t *testing.T) {
	if payload, err := cborlist.Encode(make(chan int)); err == nil {
		t.Errorf("a channel became %x", payload)
	}
}

func unhex(t testing.TB, text string) rpc.Payload {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPayloadsThatAreNoListAreErrors(t *testing.T) {
	for payload, noList := range map[string]bool{
		"a1616101": true, "6161": true, "4161": true, "f6": true, "07": true, "d81ca1616101": true, // {"a":1}, text, bytes, null, 7, a tagged map
		"": false, "8201": false, "8101ff": false, "81": false, "01": true, "ff": false, "9b0000100000000000": false,
	} {
		_, err := cborlist.Split(unhex(t, payload))
		if err == nil || errors.Is(err, cborlist.ErrNoList) != noList {
			t.Errorf("%s: %v", payload, err)
		}
	}
}

func TestDecodeWantsAsManyValuesAsPointers(t *testing.T) {
	var a, b int
	if err := cborlist.Decode(unhex(t, "8101"), &a, &b); err == nil {
		t.Error("one value is taken for two")
	}
	if err := cborlist.Decode(unhex(t, "82016132"), &a, &b); err == nil {
		t.Error("a string is taken for a number")
	}
	if err := cborlist.Decode(unhex(t, "83010203"), &a, &b); err != nil || a != 1 || b != 2 {
		t.Errorf("the values are %d and %d, %v", a, b, err)
	}
}

func TestValuesDoNotReferToThePayload(t *testing.T) {
	payload, err := cborlist.Encode("a", []byte("b"))
	if err != nil {
		t.Fatal(err)
	}
	values, err := cborlist.Split(payload)
	if err != nil {
		t.Fatal(err)
	}
	var a string
	var b []byte
	if err := cborlist.Decode(payload, &a, &b); err != nil {
		t.Fatal(err)
	}
	clear(payload)
	if string(values[0]) != "\x61a" || a != "a" || string(b) != "b" {
		t.Errorf("the values became %x, %q, %q", values[0], a, b)
	}
}

// What CBOR::XS marks as shareable is the value itself; the length of the list may
// come last.
func TestListsInOtherWordsAreLists(t *testing.T) {
	for _, payload := range []string{"824161820102", "d81c824161820102", "82d81c4161d81c820102", "9f4161820102ff", "825f4161ff9f0102ff"} {
		var name string
		var numbers []int
		err := cborlist.Decode(unhex(t, payload), &name, &numbers)
		if err != nil || name != "a" || !reflect.DeepEqual(numbers, []int{1, 2}) {
			t.Errorf("%s is %q and %v, %v", payload, name, numbers, err)
		}
		var any1, any2 any
		if err := cborlist.Decode(unhex(t, payload), &any1, &any2); err != nil || !reflect.DeepEqual(any2, []any{uint64(1), uint64(2)}) {
			t.Errorf("%s is %v and %v, %v", payload, any1, any2, err)
		}
	}
}

// A reference would be taken for a number.
func TestReferencesAreErrors(t *testing.T) {
	for _, payload := range []string{"82d81c8101d81d00", "81a1616181d81d01", "d901008243616161d81900", "82781e" + hex.EncodeToString(make([]byte, 30)) + "d81d00"} {
		if _, err := cborlist.Split(unhex(t, payload)); err != cborlist.ErrReference {
			t.Errorf("%s: %v", payload, err)
		}
	}
	for _, payload := range []string{"8242d81d00", "8142d819", "811819", "82181d00", "81fbd81d00d81d00d81d", "81f9d81d", "811b00000000d81d0000"} {
		if _, err := cborlist.Split(unhex(t, payload)); err == cborlist.ErrReference {
			t.Errorf("%s is taken for a reference", payload)
		}
	}
}

// FuzzSplit takes any payload for what it is, and a list it finds is the same when it is
// written again. Encode refuses values that Split passes on as they are, like a date (tag 0) that is no text.
func FuzzSplit(f *testing.F) {
	for _, seed := range []string{"", "80", "8301fb400c00000000000061aa", "d81c82416182a0f6", "9f5f4161ffff", "82d81c8101d81d00", "9b00ffffffffffffff", "82c0d201c03030"} {
		f.Add([]byte(unhex(f, seed)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		values, err := cborlist.Split(data)
		if err != nil {
			return
		}
		list := make([]any, len(values))
		into := make([]any, len(values))
		again := binary.BigEndian.AppendUint64([]byte{0x9b}, uint64(len(values)))
		for i, v := range values {
			list[i], into[i] = v, new(any)
			again = append(again, v...)
		}
		same, err := cborlist.Split(again)
		if err != nil || !reflect.DeepEqual(same, values) {
			t.Errorf("%x became %x, %v", data, again, err)
		}
		if encoded, err := cborlist.Encode(list...); err == nil {
			if same, err = cborlist.Split(encoded); err != nil || !reflect.DeepEqual(same, values) {
				t.Errorf("%x is encoded as %x, %v", data, encoded, err)
			}
		}
		cborlist.Decode(data, into...) // must not panic
	})
}

// perl has CBOR::XS read a list, do something with it in @_, and write what that
// returns, as AnyEvent::Fork::RPC does.
func perl(t *testing.T, request rpc.Payload, function string) rpc.Payload {
	t.Helper()
	if exec.Command("perl", "-MCBOR::XS", "-e1").Run() != nil {
		t.Skip("there is no perl with CBOR::XS here")
	}
	cmd := exec.Command("perl", "-MCBOR::XS", "-e", `
		sub encode { CBOR::XS::encode_cbor_sharing \@_ }
		binmode STDIN; binmode STDOUT; local $/;
		local @_ = @{CBOR::XS::decode_cbor <STDIN>};
		print encode do {`+function+`};`)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(request), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("perl: %v: %s", err, stderr.Bytes())
	}
	return out
}

func TestPerlReadsAndWritesTheSameLists(t *testing.T) {
	payload, err := cborlist.Encode("smørrebrød", []byte{0xff, 0}, []int{1, -2}, nil, 1.5, map[string]any{"a": 1, "b": []byte("c")}, "\u2028\n\"", true)
	if err != nil {
		t.Fatal(err)
	}
	var smorrebrod, separator string
	var data []byte
	var numbers []int
	var nothing any
	var half float64
	var hash struct {
		A int    `cbor:"a"`
		B string `cbor:"b"`
	}
	var truth bool
	out := perl(t, payload, `@_`)
	err = cborlist.Decode(out, &smorrebrod, &data, &numbers, &nothing, &half, &hash, &separator, &truth)
	if err != nil || smorrebrod != "smørrebrød" || string(data) != "\xff\x00" || !reflect.DeepEqual(numbers, []int{1, -2}) || nothing != nil ||
		half != 1.5 || hash.A != 1 || hash.B != "c" || separator != "\u2028\n\"" || !truth {
		t.Errorf("%x came back as %x: %q %q %v %v %v %v %q %v, %v", payload, out, smorrebrod, data, numbers, nothing, half, hash, separator, truth, err)
	}
}

func TestPerlsOwnDataIsRead(t *testing.T) {
	payload, err := cborlist.Encode(1, 3)
	if err != nil {
		t.Fatal(err)
	}
	out := perl(t, payload, `my %h = (sum => $_[0] + $_[1], list => [@_], name => "add"); ("a string", \%h, \"bytes", "\x{263a}", undef, 0.25)`)
	var text, smiley string
	var hash map[string]any
	var reference, nothing any
	var quarter float64
	err = cborlist.Decode(out, &text, &hash, &reference, &smiley, &nothing, &quarter)
	want := map[string]any{"sum": uint64(4), "list": []any{uint64(1), uint64(3)}, "name": []byte("add")}
	if err != nil || text != "a string" || !reflect.DeepEqual(hash, want) || smiley != "☺" || nothing != nil || quarter != 0.25 {
		t.Errorf("%x is %q %v %v %q %v %v, %v", out, text, hash, reference, smiley, nothing, quarter, err)
	}
}

func TestPerlsSharedDataIsAnError(t *testing.T) {
	payload, err := cborlist.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cborlist.Split(perl(t, payload, `my $shared = [1]; ([$shared], [$shared])`)); err != cborlist.ErrReference {
		t.Errorf("the list is %v", err)
	}
}
