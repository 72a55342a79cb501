package jsonlist_test

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"reflect"
	"testing"

	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/jsonlist"
)

func Example() {
	request, err := jsonlist.Encode("add", 1, 3.5)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s\n", request)
	var name string
	var a, b float64
	if err := jsonlist.Decode(request, &name, &a, &b); err != nil {
		panic(err)
	}
	fmt.Println(name, a+b)
	// Output:
	// ["add",1,3.5]
	// add 4.5
}

func TestListsComeBackAsTheyWere(t *testing.T) {
	for _, values := range [][]any{
		{},
		{nil, true, "", "smørrebrød <&> \u2028", 1.5},
		{[]any{"a", map[string]any{"b": []any{}}}, "\x00\x7f"},
	} {
		payload, err := jsonlist.Encode(values...)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]any, len(values))
		into := make([]any, len(values))
		for i := range into {
			into[i] = &got[i]
		}
		if err := jsonlist.Decode(payload, into...); err != nil || !reflect.DeepEqual(got, values) {
			t.Errorf("%v became %s and then %v, %v", values, payload, got, err)
		}
		if split, err := jsonlist.Split(payload); err != nil || len(split) != len(values) {
			t.Errorf("%s has %d values, %v", payload, len(split), err)
		}
	}
}

func TestNoValueIsTheEmptyArray(t *testing.T) {
	if payload, err := jsonlist.Encode(); err != nil || string(payload) != "[]" {
		t.Errorf("it is %q, %v", payload, err)
	}
}

func TestValuesThatJSONCannotHoldAreErrors(t *testing.T) {
	if payload, err := jsonlist.Encode(make(chan int)); err == nil {
		t.Errorf("a channel became %s", payload)
	}
}

func TestPayloadsThatAreNoListAreErrors(t *testing.T) {
	for payload, noList := range map[string]bool{
		`{"a":1}`: true, `"a"`: true, `null`: true, `7`: true, "": false, "[1": false, "[1]x": false, "\x01a": false,
	} {
		_, err := jsonlist.Split(rpc.Payload(payload))
		if err == nil || errors.Is(err, jsonlist.ErrNoList) != noList {
			t.Errorf("%q: %v", payload, err)
		}
	}
}

func TestDecodeWantsAsManyValuesAsPointers(t *testing.T) {
	var a, b int
	if err := jsonlist.Decode(rpc.Payload("[1]"), &a, &b); err == nil {
		t.Error("one value is taken for two")
	}
	if err := jsonlist.Decode(rpc.Payload(`[1,"2"]`), &a, &b); err == nil {
		t.Error("a string is taken for a number")
	}
	if err := jsonlist.Decode(rpc.Payload("[1,2,3]"), &a, &b); err != nil || a != 1 || b != 2 {
		t.Errorf("the values are %d and %d, %v", a, b, err)
	}
}

func TestValuesDoNotReferToThePayload(t *testing.T) {
	payload := rpc.Payload(`["a"]`)
	values, err := jsonlist.Split(payload)
	if err != nil {
		t.Fatal(err)
	}
	copy(payload, "xxxxx")
	if string(values[0]) != `"a"` {
		t.Errorf("the value became %s", values[0])
	}
}

// JSON::PP comes with Perl, and encodes as AnyEvent::Fork::RPC's JSON does.
func TestPerlReadsAndWritesTheSameLists(t *testing.T) {
	script := `use JSON::PP (); binmode STDIN; binmode STDOUT; local $/; print JSON::PP::encode_json(JSON::PP::decode_json(<STDIN>))`
	if exec.Command("perl", "-MJSON::PP", "-e1").Run() != nil {
		t.Skip("there is no perl with JSON::PP here")
	}
	payload, err := jsonlist.Encode("smørrebrød", "<&>", []int{1, 2}, nil, "\u2028\n\"")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("perl", "-e", script)
	cmd.Stdin = bytes.NewReader(payload)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var smorrebrod, angles, separator string
	var numbers []int
	var nothing any
	err = jsonlist.Decode(out, &smorrebrod, &angles, &numbers, &nothing, &separator)
	if err != nil || smorrebrod != "smørrebrød" || angles != "<&>" || len(numbers) != 2 || nothing != nil || separator != "\u2028\n\"" {
		t.Errorf("%s came back as %s, %v", payload, out, err)
	}
}
