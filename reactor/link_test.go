package reactor_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// A link is a stream and the other end of its connection, which the test drives
// by hand, and a record of the callbacks.
type link struct {
	t      testing.TB
	loop   *reactor.Loop
	stream *reactor.Stream
	peer   *fdtest.End

	calls    []string // "data", "eof", "drain", "write error", "close"; data once for any number
	data     []byte
	closed   int
	closeErr error
	writeErr error
}

// onLinks runs body with a fresh loop and link over each transport. The callbacks
// that config makes for the link are called after being recorded; nil: none.
func onLinks(t *testing.T, config func(l *link) reactor.StreamConfig, body func(t *testing.T, l *link)) {
	for _, transport := range append(fdtest.Transports(), edgeTriggered) {
		t.Run(transport.Name, func(t *testing.T) {
			body(t, newLink(t, newLoop(t), transport, config))
		})
	}
}

// edgeTriggered is the transport of links whose streams are EdgeTriggered.
var edgeTriggered = fdtest.Transport{Name: "edge-triggered pipes", Open: fdtest.Pipes}

func newLink(t testing.TB, loop *reactor.Loop, transport fdtest.Transport, config func(l *link) reactor.StreamConfig) *link {
	t.Helper()
	ours, theirs := transport.Open(t)
	t.Cleanup(theirs.Close)
	l := &link{t: t, loop: loop, peer: theirs}
	var c reactor.StreamConfig
	if config != nil {
		c = config(l)
	}
	c.EdgeTriggered = transport.Name == edgeTriggered.Name
	l.record(&c)
	s, err := loop.NewStream(ours.Read, ours.Write, c)
	must(t, err)
	l.stream = s
	t.Cleanup(s.Close)
	return l
}

// record puts the link's own callbacks before those of the config.
func (l *link) record(c *reactor.StreamConfig) {
	onData, onEOF, onDrain, onWriteError, onClose := c.OnData, c.OnEOF, c.OnDrain, c.OnWriteError, c.OnClose
	c.OnData = func(data []byte) {
		l.note("data")
		l.data = append(l.data, data...)
		if onData != nil {
			onData(data)
		}
	}
	c.OnEOF = func() {
		l.note("eof")
		if onEOF != nil {
			onEOF()
		}
	}
	c.OnDrain = func() {
		l.note("drain")
		if onDrain != nil {
			onDrain()
		}
	}
	c.OnWriteError = func(err error) {
		l.note("write error")
		l.writeErr = err
		if onWriteError != nil {
			onWriteError(err)
		}
	}
	c.OnClose = func(err error) {
		l.note("close")
		l.closed++
		l.closeErr = err
		if onClose != nil {
			onClose(err)
		}
	}
}

func (l *link) note(call string) {
	if l.closed > 0 {
		l.t.Errorf("%s after OnClose", call)
	}
	if call == "data" && len(l.calls) > 0 && l.calls[len(l.calls)-1] == call {
		return
	}
	l.calls = append(l.calls, call)
}

// wantCalls compares the record: "data eof close".
func (l *link) wantCalls(want string) {
	l.t.Helper()
	if got := strings.Join(l.calls, " "); got != want {
		l.t.Errorf("the callbacks were %q, want %q", got, want)
	}
}

func (l *link) saw(call string) bool { return slices.Contains(l.calls, call) }

func (l *link) pollUntil(cond func() bool) {
	l.t.Helper()
	pollUntil(l.t, l.loop, cond)
}

func (l *link) poll() {
	l.t.Helper()
	pollTimes(l.t, l.loop, 1)
}

func (l *link) write(p string) {
	l.t.Helper()
	must(l.t, l.stream.Write([]byte(p)))
}

// fill writes until the kernel takes no more and n bytes are queued here, and
// returns all that was written. Small buffers make it quick.
func (l *link) fill(n int) []byte {
	l.t.Helper()
	_, w := l.stream.FDs()
	fdtest.Shrink(l.t, w)
	var all []byte
	for len(all) < 1<<20 && l.stream.Buffered() < n {
		piece := pattern(len(all), 1000)
		must(l.t, l.stream.Write(piece))
		all = append(all, piece...)
		l.poll()
	}
	if l.stream.Buffered() < n {
		l.t.Fatalf("the kernel took all of %d bytes", len(all))
	}
	return all
}

// fillNow is fill from inside a callback.
func (l *link) fillNow(n int) {
	l.t.Helper()
	_, w := l.stream.FDs()
	fdtest.Shrink(l.t, w)
	for l.stream.Buffered() < n {
		must(l.t, l.stream.Write(pattern(0, n)))
	}
}

// receive has the peer read everything of a size, while the loop runs.
func (l *link) receive(size int) []byte {
	l.t.Helper()
	var got []byte
	l.pollUntil(func() bool {
		data, _ := l.peer.Available(l.t)
		got = append(got, data...)
		return len(got) >= size
	})
	return got
}

// receiveEOF has the peer read up to the EOF, while the loop runs.
func (l *link) receiveEOF() []byte {
	l.t.Helper()
	var got []byte
	l.pollUntil(func() bool {
		data, eof := l.peer.Available(l.t)
		got = append(got, data...)
		return eof
	})
	return got
}

// pattern is n bytes of a sequence that does not repeat soon, from offset on:
// what is lost, doubled or moved shows.
func pattern(offset, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		at := uint32(offset + i)
		p[i] = byte(at*2654435761>>24) ^ byte(at)
	}
	return p
}

func wantBytes(t testing.TB, got, want []byte) {
	t.Helper()
	if string(got) == string(want) {
		return
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	t.Errorf("got %d bytes, want %d; they differ from byte %d on: %s, want %s",
		len(got), len(want), at, excerpt(got, at), excerpt(want, at))
}

func excerpt(p []byte, at int) string {
	return fmt.Sprintf("%q", p[at:min(at+16, len(p))])
}
