package rpc_test

import (
	"testing"

	"github.com/evfork/evfork/rpc"
)

// The order in which a child reads what a client says of a streamed call.

// A cancel for which there was no room comes before the end of the parts, also if there is room by the time when the
// caller says that it has no others.
func TestCancelThatWaitsForRoomComesBeforeTheEndOfTheParts(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{MaxBuffered: 1000})
	_, err := file.WriteString(ourHello)
	must(t, err)
	r := &result{}
	s, err := c.GoStream(r, rpc.StreamOptions{Input: true, Window: 7}, nil)
	must(t, err)
	want := clientHello + windowCall(1, 7, true, nil)
	f.hears(file, len(want))
	payload := make([]byte, 992)
	must(t, f.Post(func() {
		must(t, c.GoBytes(nil, payload))
		s.Cancel()
	}))
	must(t, f.Poll(0)) // which ends with the writing of the call: what could not be sent follows in the next
	s.CloseSend()
	want = frame(2, string(payload)) + frame(cancelKind|1, "") + frame(endKind|1, "")
	if got := f.hears(file, len(want)); got != want {
		t.Errorf("the child reads %q\nnot %q", got, want)
	}
	_, err = file.WriteString(frame(1, "") + frame(2, ""))
	must(t, err)
	f.until(func() bool { return r.ended() && c.InFlight() == 0 })
	f.drain(c, 3)
	f.hears(file, len(frame(3, string(make([]byte, 992)))))
	f.hearsNoMore(file)
}

// drain fills the buffer of a client that has room for 1000 bytes, with the call that has the id, and has it written.
func (f *fixture) drain(c *rpc.Client, id uint32) {
	f.t.Helper()
	must(f.t, c.GoBytes(nil, make([]byte, 992)))
	if err := c.GoBytes(nil, nil); err != rpc.ErrFull {
		f.t.Errorf("behind call %d there is room for another: %v", id, err)
	}
	for range 2 { // also what OnDrain has sent
		must(f.t, f.Poll(0))
	}
}

// The end of the parts of a call that is answered while there is no room comes later, once.
func TestEndOfThePartsOfAnAnsweredCallWaitsForRoom(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{MaxBuffered: 1000})
	r := &result{}
	_, err := c.GoStream(r, rpc.StreamOptions{Input: true, Window: 7}, nil)
	must(t, err)
	_, err = file.WriteString(ourHello)
	must(t, err)
	want := clientHello + windowCall(1, 7, true, nil)
	f.hears(file, len(want))
	payload := make([]byte, 992)
	_, err = file.WriteString(frame(1, ""))
	must(t, err)
	f.AfterFunc(0, func() { must(t, c.GoBytes(nil, payload)) }) // comes before the reply in its iteration
	f.until(r.ended)
	want = frame(2, string(payload)) + frame(endKind|1, "")
	if got := f.hears(file, len(want)); got != want {
		t.Errorf("the child reads %q\nnot %q", got, want)
	}
	f.drain(c, 3)
	f.hears(file, len(frame(3, string(payload))))
	f.hearsNoMore(file)
}

// Credit that comes while there is no room in the buffer is told of when there is.
func TestRoomMeansRoomInTheBuffer(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{MaxBuffered: 1000})
	r := &roomy{}
	s, err := c.GoStream(r, rpc.StreamOptions{Input: true, Window: 7}, nil)
	must(t, err)
	_, err = file.WriteString(frame(helloWord, "\x06evfork\x011\x08features\x10metadata credits\x06window\x010"))
	must(t, err)
	f.hears(file, len(clientHello+windowCall(1, 7, true, nil)))
	if err := s.Send(nil); err != rpc.ErrFull {
		t.Errorf("Send without credit returned %v", err)
	}
	r.fn = func() { must(t, s.Send(nil)) }
	_, err = file.WriteString(credit(1, 8))
	must(t, err)
	f.AfterFunc(0, func() { must(t, c.GoBytes(nil, make([]byte, 992))) }) // comes before the credit in its iteration
	want := frame(2, string(make([]byte, 992))) + frame(partKind|1, "")
	if got := f.hears(file, len(want)); got != want || r.rooms != 1 {
		t.Errorf("the child reads %q; Room was called %d times", got, r.rooms)
	}
	_, err = file.WriteString(frame(1, "") + frame(2, ""))
	must(t, err)
	f.until(r.ended)
}
