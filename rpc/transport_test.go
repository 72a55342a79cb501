package rpc_test

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
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

// strangersPipes are the other ends of one with two pipes.
type strangersPipes struct{ answers, requests *os.File }

func (f *fixture) strangerOnPipes() (*rpc.StreamTransport, strangersPipes) {
	f.t.Helper()
	var ours, theirs [2]int // read ends and write ends
	must(f.t, unix.Pipe(ours[:]))
	must(f.t, unix.Pipe(theirs[:]))
	ends := strangersPipes{fileOf(ours[1]), fileOf(theirs[0])}
	f.t.Cleanup(func() {
		ends.answers.Close()
		ends.requests.Close()
	})
	return rpc.NewStreamTransport(f.Loop, ours[0], theirs[1]), ends
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

// A peer that resets the connection has not ended in an orderly way, also if no call was in flight.
func TestPeerThatResetsIsNoOrderlyEnd(t *testing.T) {
	f := newFixture(t)
	ours, theirs := fdtest.TCP(t)
	var w watched
	f.client(rpc.NewStreamTransport(f.Loop, ours.Read, ours.Write), peer{}, w.config(rpc.Config{}))
	theirs.Send(t, []byte(hello))
	must(t, f.Poll(0))
	must(t, unix.SetsockoptLinger(theirs.Write, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}))
	theirs.Close()
	f.until(w.ended)
	if w.destroyed != 0 || w.failed != 1 || !errors.Is(w.err, unix.ECONNRESET) {
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
	aborted        []error
	lingers        bool // at Abort it goes on
}

func (t *told) Ready() {
	t.ready++
	t.Transport.Ready()
}

func (t *told) Stop() error {
	t.stopped++
	return t.Transport.Stop()
}

func (t *told) Abort(reason error) {
	t.aborted = append(t.aborted, reason)
	if !t.lingers {
		t.Transport.Abort(reason)
	}
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

// Whoever opens a transport hears of its stream what he would hear without one.
func TestStreamTransportCallsWhoeverHasOpenedIt(t *testing.T) {
	for _, test := range []struct {
		name string
		end  func(transport *rpc.StreamTransport, s *reactor.Stream, other strangersPipes)
		want []string
	}{
		{"end of the other side", func(_ *rpc.StreamTransport, _ *reactor.Stream, other strangersPipes) {
			must(t, other.answers.Close())
		}, []string{"eof", "closed"}},
		{"nobody reads any more", func(_ *rpc.StreamTransport, s *reactor.Stream, other strangersPipes) {
			must(t, other.requests.Close())
			must(t, s.Write([]byte("request")))
		}, []string{"write error", "closed"}},
		{"abort", func(transport *rpc.StreamTransport, _ *reactor.Stream, _ strangersPipes) {
			transport.Abort(io.ErrNoProgress)
		}, []string{"closed"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t)
			transport, ends := f.strangerOnPipes()
			silent, others := f.strangerOnPipes() // nobody wants to know
			var called []string
			s, err := transport.Open(reactor.StreamConfig{
				OnEOF:        func() { called = append(called, "eof") },
				OnWriteError: func(error) { called = append(called, "write error") },
				OnClose:      func(error) { called = append(called, "closed") },
			})
			must(t, err)
			unheard, err := silent.Open(reactor.StreamConfig{})
			must(t, err)
			test.end(transport, s, ends)
			test.end(silent, unheard, others)
			f.until(func() bool { return len(called) == len(test.want) && unheard.Closed() })
			must(t, f.Poll(0)) // which would be told of more
			if !slices.Equal(called, test.want) {
				t.Errorf("called: %q", called)
			}
		})
	}
}

// Of several reasons the first is the one, and it is said once, also if the stream ends for it.
func TestStreamTransportEndsForItsFirstReason(t *testing.T) {
	f := newFixture(t)
	for name, end := range map[string]func(transport *rpc.StreamTransport, s *reactor.Stream, other strangersPipes) (want error){
		"two aborts": func(transport *rpc.StreamTransport, _ *reactor.Stream, _ strangersPipes) error {
			transport.Abort(io.ErrNoProgress)
			transport.Abort(io.ErrShortWrite)
			return io.ErrNoProgress
		},
		"bytes that were not read": func(_ *rpc.StreamTransport, s *reactor.Stream, other strangersPipes) error {
			must(t, s.Write(make([]byte, 10<<20)))
			must(t, other.requests.Close())
			return syscall.EPIPE
		},
	} {
		transport, other := f.strangerOnPipes()
		var cause error
		s, err := transport.Open(reactor.StreamConfig{MaxBuffered: 20 << 20})
		must(t, err)
		transport.OnEnd(func(err error) { cause = err })
		want := end(transport, s, other)
		f.until(func() bool { return cause != nil })
		if !errors.Is(cause, want) || strings.Count(cause.Error(), want.Error()) != 1 || strings.Contains(cause.Error(), "\n") {
			t.Errorf("%s: the cause is %q", name, cause)
		}
	}
}

// A child that talks nonsense is given up once, whatever it says until it is gone.
func TestPeerThatTalksNonsenseIsGivenUpOnce(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	is := &told{Transport: transport, lingers: true}
	f.client(is, peer{}, rpc.Config{OnError: func(error) {}})
	for _, nonsense := range []string{"HTTP/1.1 400 Bad Request\r\n", "\r\n", frame(1, "")} {
		_, err := file.WriteString(nonsense)
		must(t, err)
		must(t, f.Poll(0))
	}
	if len(is.aborted) != 1 {
		t.Errorf("it was put down for %v", is.aborted)
	}
	transport.Abort(nil)
}
