package rpc_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/evfork/evfork/rpc"
)

const holdKind = 0xb0000000

// What a child may not do to a parent that takes two calls.
func TestClientRefusesBadUpcalls(t *testing.T) {
	call := func(id uint32) string { return frame(upcallKind|id, "\x04hold") }
	for _, test := range []struct{ name, sends, says string }{
		{"more than there may be", call(1) + call(2) + call(3), "a call came while 2 were without an answer"},
		{"the same id", call(7) + call(7), "a call came with the id 7 of one that is without an answer"},
		{"no id", call(0), "a call came with the id 0"},
		{"a cancel of nothing", frame(cancelKind, ""), "frame of kind 3 with id 0"},
		{"a word about holding", frame(holdKind|2, ""), "frame of kind 11 with id 2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t)
			transport, file := f.stranger()
			o := &oracle{t: t}
			o.client = f.client(transport, peer{}, o.config(rpc.Config{MaxUpcalls: 2}))
			r := f.begin(o.client, "one")
			_, err := file.WriteString(hello + test.sends)
			must(t, err)
			f.until(r.ended)
			var violation *rpc.ProtocolError
			if !errors.As(r.err, &violation) || !strings.Contains(r.err.Error(), test.says) {
				t.Errorf("the call ended with %v, want %q", r.err, test.says)
			}
			for _, err := range o.errs {
				if !isLost(err) {
					t.Errorf("a handler was told %v", err)
				}
			}
			if len(o.errs) != len(o.held) {
				t.Errorf("%d handlers, told %d times", len(o.held), len(o.errs))
			}
		})
	}
}

// A child that does not read its answers has no more calls without one than it may: what
// the parent keeps for it is bounded.
func TestUnreadAnswersCountAgainstTheChild(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	var w watched
	answered := 0
	c := f.client(transport, peer{}, w.config(rpc.Config{MaxUpcalls: 2, MaxBuffered: 1000, OnCall: func(_ rpc.Payload, done rpc.Done) {
		answered++
		must(t, done.ReplyBytes(make([]byte, 900)))
	}}))
	_, err := file.WriteString(hello)
	must(t, err)
	for full := 0; full < 3; must(t, f.Poll(0)) {
		if err := c.GoBytes(nil, make([]byte, 500)); err == rpc.ErrFull {
			full++
		} else {
			must(t, err)
		}
	}
	for id := range uint32(3) {
		_, err = file.WriteString(frame(upcallKind|(id+1), ""))
		must(t, err)
	}
	f.until(w.ended)
	if answered != 2 || !strings.Contains(fmt.Sprint(w.err), "a call came while 2 were without an answer") {
		t.Errorf("%d calls were taken; OnError got %v", answered, w.err)
	}
}

// What it may.
func TestParentSpeaksTheProtocolOfUpcalls(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	o := &oracle{t: t}
	o.client = f.client(transport, peer{}, o.config(rpc.Config{MaxUpcalls: 2, Codec: "string"}))
	must(t, f.Poll(0))
	greeting := readOneFrame(t, file, 8)
	values, err := rpc.Payload(greeting[8:]).Strings()
	must(t, err)
	if text := strings.Join(values, ";"); !strings.Contains(text, " calls;") || !strings.HasSuffix(text, ";calls;2") {
		t.Errorf("the hello says %q", values)
	}
	_, err = file.WriteString(hello + frame(upcallKind|1, "\x04hold\x01a") + frame(upcallKind|0x0fffffff, "\x02hi") + frame(cancelKind|1, "") +
		frame(cancelKind|77, "") + frame(upcallKind|2, "\x09not found") + frame(holdKind|1, ""))
	must(t, err)
	f.until(func() bool { return len(o.asked) == 3 && o.client.Go(nil, "while it holds") == rpc.ErrFull })
	if len(o.errs) != 1 || o.errs[0] != rpc.ErrCanceled {
		t.Errorf("the handler was told %v", o.errs)
	}
	o.release() // a late answer is one, too
	_, err = file.WriteString(frame(holdKind, ""))
	must(t, err)
	ready := false
	must(t, o.client.WaitReady(func() { ready = true }))
	f.until(func() bool { return ready })
	must(t, o.client.Go(nil, "on"))
	must(t, f.Poll(0))
	notFound := frame(errorKind|2, string(rpc.Strings("looking in the parent: file does not exist", rpc.KindError, "")))
	want := frame(upcallKind|0x0fffffff, "\x02hi") + notFound + frame(upcallKind|1, "\x01a") + frame(1, "\x02on")
	got := make([]byte, len(want))
	if _, err := io.ReadFull(file, got); err != nil || string(got) != want {
		t.Errorf("the parent said\n%q, not\n%q; %v", got, want, err)
	}
}
