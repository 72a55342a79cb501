package rpc_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/evfork/evfork/rpc"
)

// frameVector is a test for any implementation of docs/protocol.md: what frames mean to
// the side that they are sent to. The hello of the sender, {"evfork", "1"}, comes first
// unless the frames are, or should have been, one.
type frameVector struct {
	Name   string
	Wire   string
	To     string // "parent" or "child"
	Frames string // hex
	// Means is "hello" (that is accepted), "call", "reply", "event", "error" (an error
	// reply), "part" (of a reply), "ignored", "late" (a call that is answered with an error of kind deadline
	// and not begun), or "violation" (the connection ends).
	//
	// Of a parent that takes calls of its child also "upcall", "cancelled" (an upcall, and its cancel) and
	// "hold" (the child wants no calls for now).
	Means     string
	Takes     int // calls of the child
	ID        uint32
	Values    []string // of the STRING list
	Message   string   // of an error reply, as the next three
	Kind      string
	Stack     string
	Sentinels []string
	Says      string // part of this implementation's error
}

func readFrameVectors(t *testing.T, to string) (vectors []frameVector) {
	t.Helper()
	data, err := os.ReadFile("testdata/frames.json")
	must(t, err)
	var all []frameVector
	must(t, json.Unmarshal(data, &all))
	for _, v := range all {
		if v.To == to {
			vectors = append(vectors, v)
		}
	}
	if len(vectors) < 20 {
		t.Fatalf("only %d vectors", len(vectors))
	}
	return vectors
}

func (v *frameVector) wire(t *testing.T) rpc.Wire {
	for _, w := range []rpc.Wire{rpc.Evfork, rpc.AnyEventAsync, rpc.AnyEventSync} {
		if w.String() == v.Wire {
			return w
		}
	}
	t.Fatalf("no wire %q", v.Wire)
	return 0
}

// bytes are the frames, behind the hello that they need.
func (v *frameVector) bytes(t *testing.T) string {
	t.Helper()
	frames, err := hex.DecodeString(v.Frames)
	must(t, err)
	if v.Wire != "evfork" || strings.HasPrefix(v.Name, "hello") {
		return string(frames)
	}
	return frame(helloWord, "\x06evfork\x011") + string(frames)
}

func TestServersUnderstandTheFrames(t *testing.T) {
	for _, server := range []string{"sync", "async", "goroutines"} {
		for _, v := range readFrameVectors(t, "child") {
			t.Run(server+"/"+v.Wire+"/"+v.Name, func(t *testing.T) {
				newFixture(t)
				p := peer{server: server, wire: v.wire(t), mirror: true}
				call, last := frame(99, "last"), frame(99, "last")
				if p.wire == rpc.AnyEventSync {
					call, last = syncCall("last"), frame(1, "last")
				}
				out, err := serveRaw(t, p, v.bytes(t)+call)
				if v.Wire == "evfork" {
					out = strings.TrimPrefix(out, ourHello)
				}
				v.checkServer(t, out, err, last)
			})
		}
	}
}

// checkServer compares what a mirror has answered. The goroutines may answer the
// last call first.
func (v *frameVector) checkServer(t *testing.T, out string, err error, last string) {
	t.Helper()
	answer := ""
	switch v.Means {
	case "violation":
		if err == nil || !strings.Contains(err.Error(), v.Says) {
			t.Errorf("the server returned %v, want %q", err, v.Says)
		}
		return
	case "call":
		answer = frame(v.ID, string(rpc.Strings(v.Values...)))
	case "late":
		answer = frame(errorKind|v.ID, string(rpc.Strings(rpc.ErrDeadline.Error(), rpc.KindDeadline, "")))
	}
	must(t, err)
	if out != answer+last && out != last+answer {
		t.Errorf("the server answered %q, want %q", out, answer+last)
	}
}

func TestClientUnderstandsTheFrames(t *testing.T) {
	for _, v := range readFrameVectors(t, "parent") {
		t.Run(v.Wire+"/"+v.Name, func(t *testing.T) {
			f := newFixture(t)
			transport, file := f.stranger()
			var w watched
			config := w.config(rpc.Config{Sentinels: rpc.Sentinels{"end of file": io.EOF}, MaxUpcalls: v.Takes})
			var up upcallsSeen
			if v.Takes > 0 {
				config.OnCall = up.answer
			}
			c := f.client(transport, peer{wire: v.wire(t)}, config)
			one := &partial{}
			must(t, c.GoTo(one, "one"))
			calls := []*result{nil, &one.result, f.begin(c, "two"), f.begin(c, "last")}
			_, err := file.WriteString(v.bytes(t) + v.lastReply())
			must(t, err)
			f.until(calls[3].ended)
			v.checkClient(t, calls, w.events)
			if v.Means != "violation" {
				v.checkUpcalls(f, c, &up, file)
			}
			if want := v.Means == "part"; want && !slices.Equal(one.parts, v.Values) || !want && len(one.parts) > 0 {
				t.Errorf("the parts are %q", one.parts)
			}
		})
	}
}

// lastReply answers the third call. On AnyEventSync those before it must have been
// answered.
func (v *frameVector) lastReply() string {
	const values = "\x04last"
	switch {
	case v.Wire != rpc.AnyEventSync.String():
		return frame(3, values)
	case v.Means == "reply":
		return frame(1, "") + frame(1, values)
	}
	return frame(1, "") + frame(1, "") + frame(1, values)
}

// upcallsSeen are the calls of a child.
type upcallsSeen struct {
	values    [][]string
	done      rpc.Done
	cancelled int
}

func (u *upcallsSeen) answer(request rpc.Payload, done rpc.Done) {
	values, err := request.Strings()
	if err != nil {
		values = []string{err.Error()}
	}
	u.values, u.done = append(u.values, values), done
	done.OnCancel(func(error) { u.cancelled++ })
}

func (v *frameVector) checkUpcalls(f *fixture, c *rpc.Client, u *upcallsSeen, file *os.File) {
	f.t.Helper()
	if err := c.Go(nil); (err == rpc.ErrFull) != (v.Means == "hold") {
		f.t.Errorf("a call returns %v", err)
	}
	if v.Means != "upcall" && v.Means != "cancelled" {
		if len(u.values) > 0 {
			f.t.Errorf("calls came: %q", u.values)
		}
		return
	}
	if len(u.values) != 1 || !slices.Equal(u.values[0], v.Values) || u.cancelled > 0 != (v.Means == "cancelled") {
		f.t.Fatalf("the calls are %q, cancelled %d times", u.values, u.cancelled)
	}
	must(f.t, u.done.Reply("yes"))
	must(f.t, f.Poll(0))
	want := frame(upcallKind|v.ID, "\x03yes")
	for range 5 { // the hello and four calls
		readOneFrame(f.t, file, 8)
	}
	if got := readOneFrame(f.t, file, 8); got != want {
		f.t.Errorf("the answer is %q, not %q", got, want)
	}
}

func (v *frameVector) checkClient(t *testing.T, calls []*result, events []string) {
	t.Helper()
	last := calls[3]
	if v.Means == "violation" {
		var violation *rpc.ProtocolError
		if !errors.As(last.err, &violation) || !strings.Contains(last.err.Error(), v.Says) {
			t.Errorf("the calls ended with %v, want %q", last.err, v.Says)
		}
		return
	}
	if last.err != nil || last.ends != 1 {
		t.Errorf("the last call ended %d times, with %v", last.ends, last.err)
	}
	var remote *rpc.RemoteError
	switch v.Means {
	case "reply":
		if r := calls[v.ID]; r.err != nil || !slices.Equal(r.reply, v.Values) {
			t.Errorf("the reply is %q, %v", r.reply, r.err)
		}
	case "event":
		if !slices.Equal(events, v.Values) {
			t.Errorf("the event is %q", events)
		}
	case "error":
		if err := calls[v.ID].err; !errors.As(err, &remote) || remote.Message != v.Message || remote.Kind != v.Kind ||
			remote.Stack != v.Stack || errors.Is(err, io.EOF) != (len(v.Sentinels) > 0) {
			t.Errorf("the error is %+v", remote)
		}
	default:
		if calls[1].ended() || calls[2].ended() || len(events) > 0 {
			t.Errorf("it was taken for something: %v, %v, %q", calls[1], calls[2], events)
		}
	}
}

// Only the first frame, if it is to be a hello, may be longer than the limit.
func TestOnlyAHelloMayExceedTheLimit(t *testing.T) {
	const limit = 10
	first, second := frame(1, strings.Repeat("a", 100)), frame(2, strings.Repeat("b", 100))
	for _, pieces := range [][]string{{first + second}, {first, second}, strings.Split(first+second, "")} {
		var in [][]byte
		for _, piece := range pieces {
			in = append(in, []byte(piece))
		}
		frames, _, err := rpc.DecodeGreeted(limit, in...)
		if len(frames) != 1 || frames[0].Word != 1 || err == nil || !strings.Contains(err.Error(), "frame of 100 bytes, more than the limit of 10") {
			t.Errorf("in %d pieces: %v, %v", len(pieces), frames, err)
		}
		if frames, _, err := rpc.Decode(limit, in...); len(frames) != 0 || err == nil {
			t.Errorf("without a hello, in %d pieces: %v, %v", len(pieces), frames, err)
		}
	}
}
