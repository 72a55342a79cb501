package rpc_test

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/evfork/evfork/rpc"
)

// stranger is the other end of a StreamTransport, which the test plays itself.
func (f *fixture) stranger() (*rpc.StreamTransport, *os.File) {
	f.t.Helper()
	ours, theirs := socketpair(f.t)
	file := fileOf(theirs)
	f.t.Cleanup(func() { file.Close() })
	return rpc.NewStreamTransport(f.Loop, ours, ours), file
}

// readOneFrame takes one frame that the client has sent.
func readOneFrame(t *testing.T, file *os.File, headerSize int) string {
	t.Helper()
	header := make([]byte, headerSize)
	_, err := io.ReadFull(file, header)
	must(t, err)
	payload := make([]byte, header[headerSize-1]) // the frames of these tests are short
	_, err = io.ReadFull(file, payload)
	must(t, err)
	return string(header) + string(payload)
}

func TestClientsFirstBytes(t *testing.T) {
	for wire, want := range map[rpc.Wire][]string{
		rpc.Evfork:        {clientHello, frame(1, "\x04echo\x02hi"), frame(2, "")},
		rpc.AnyEventAsync: {frame(1, "\x04echo\x02hi"), frame(2, "")},
		rpc.AnyEventSync:  {syncCall("\x04echo\x02hi"), syncCall("")},
	} {
		t.Run(wire.String(), func(t *testing.T) {
			f := newFixture(t)
			transport, file := f.stranger()
			c := f.client(transport, peer{wire: wire}, rpc.Config{})
			f.begin(c, "echo", "hi")
			f.begin(c)
			must(t, f.Poll(0))
			headerSize := 8
			if wire == rpc.AnyEventSync {
				headerSize = 4
			}
			for i := range want {
				if got := readOneFrame(t, file, headerSize); got != want[i] {
					t.Errorf("frame %d is %q, not %q", i, got, want[i])
				}
			}
		})
	}
}

func TestPeerThatHangsUpLosesItsCalls(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	var w watched
	c := f.client(transport, peer{}, w.config(rpc.Config{}))
	answered, lost := f.begin(c, "one"), f.begin(c, "two")
	must(t, f.Poll(0))
	for range 3 {
		readOneFrame(t, file, 8)
	}
	_, err := file.WriteString(hello + frame(1, ""))
	must(t, err)
	must(t, file.Close())
	f.until(w.ended)
	if answered.ends != 1 || answered.err != nil {
		t.Errorf("the first call ended %d times, with %v", answered.ends, answered.err)
	}
	if !isLost(lost.err) || !errors.Is(lost.err, rpc.ErrPeerClosed) || w.failed != 1 || w.destroyed != 0 {
		t.Errorf("the second call ended with %v; OnError %d times, OnDestroy %d times", lost.err, w.failed, w.destroyed)
	}
}

func TestPeerThatHangsUpWithoutCallsIsAnOrderlyEnd(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	var w watched
	f.client(transport, peer{}, w.config(rpc.Config{}))
	_, err := file.WriteString(hello)
	must(t, err)
	must(t, f.Poll(0))
	readOneFrame(t, file, 8)
	must(t, file.Close())
	f.until(w.ended)
	if w.destroyed != 1 || w.failed != 0 {
		t.Errorf("OnDestroy was called %d times, OnError %d times with %v", w.destroyed, w.failed, w.err)
	}
}

// There is no process to put down: the connection is.
func TestPeerThatTalksNonsenseIsCutOff(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	var w watched
	c := f.client(transport, peer{}, w.config(rpc.Config{}))
	r := f.begin(c, "one")
	must(t, f.Poll(0))
	_, err := file.WriteString("HTTP/1.1 400 Bad Request\r\n")
	must(t, err)
	f.until(w.ended)
	var violation *rpc.ProtocolError
	if !errors.As(r.err, &violation) || !strings.Contains(r.err.Error(), `"HTTP/1.1 400 Bad Request\r\n"`) || w.failed != 1 {
		t.Errorf("the call ended with %v; OnError %d times", r.err, w.failed)
	}
	if rest := readToEnd(file); !strings.HasPrefix(rest, clientHello) {
		t.Errorf("the peer has read %q", rest)
	}
}

// told is a transport that knows what it was told.
type told struct {
	rpc.Transport
	ready, stopped int
}

func (t *told) Ready() {
	t.ready++
	t.Transport.Ready()
}

func (t *told) Stop() error {
	t.stopped++
	return t.Transport.Stop()
}

// A child is ready when it has said hello; where there is none, from the start.
func TestTransportIsToldWhenTheChildIsReady(t *testing.T) {
	for wire, ready := range map[rpc.Wire]int{rpc.Evfork: 0, rpc.AnyEventAsync: 1, rpc.AnyEventSync: 1} {
		f := newFixture(t)
		transport, file := f.stranger()
		is := &told{Transport: transport}
		c := f.client(is, peer{wire: wire}, rpc.Config{})
		if is.ready != ready {
			t.Errorf("%v: Ready was called %d times at first", wire, is.ready)
		}
		if wire == rpc.Evfork {
			_, err := file.WriteString(hello)
			must(t, err)
			f.until(func() bool { return rpc.Greeted(c) })
		}
		if is.ready != 1 {
			t.Errorf("%v: Ready was called %d times", wire, is.ready)
		}
	}
}
