package reactor_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// method is a call of a stream's, with another stream to couple it to.
type method struct {
	name string
	call func(l *link, other *reactor.Stream)
}

// methods are all of a Stream's, those with modes in each.
func methods() []method {
	return []method{
		{"Write", func(l *link, _ *reactor.Stream) { l.stream.Write([]byte("x")) }},
		{"Write of much", func(l *link, _ *reactor.Stream) { l.stream.Write(make([]byte, 1<<20)) }},
		{"Writev", func(l *link, _ *reactor.Stream) { l.stream.Writev([]byte("x"), nil, make([]byte, 200_000)) }},
		{"Commit", func(l *link, _ *reactor.Stream) { l.stream.Commit(append(l.stream.AppendBuffer(), 'x')) }},
		{"Flush", func(l *link, _ *reactor.Stream) { l.stream.Flush() }},
		{"Pause", func(l *link, _ *reactor.Stream) { must(l.t, l.stream.Pause()) }},
		{"Resume", func(l *link, _ *reactor.Stream) { must(l.t, l.stream.Resume()) }},
		{"Drain", func(l *link, _ *reactor.Stream) { l.stream.Drain() }},
		{"Close", func(l *link, _ *reactor.Stream) { l.stream.Close() }},
		{"CloseRead", func(l *link, _ *reactor.Stream) { l.stream.CloseRead() }},
		{"CloseWrite", func(l *link, _ *reactor.Stream) { l.stream.CloseWrite() }},
		{"CloseAfterFlush", func(l *link, _ *reactor.Stream) { l.stream.CloseAfterFlush(time.Millisecond) }},
		{"Detach", func(l *link, _ *reactor.Stream) {
			r, w, _, _ := l.stream.Detach()
			closeBoth(r, w)
		}},
		{"PipeTo another", func(l *link, other *reactor.Stream) { l.stream.PipeTo(other) }},
		{"PipeTo from another", func(l *link, other *reactor.Stream) { other.PipeTo(l.stream) }},
		{"PipeTo itself", func(l *link, _ *reactor.Stream) { l.stream.PipeTo(l.stream) }},
		{"PipeTo nil", func(l *link, _ *reactor.Stream) { must(l.t, l.stream.PipeTo(nil)) }},
		{"PauseWhileCongested", func(l *link, other *reactor.Stream) { l.stream.PauseWhileCongested(other) }},
		{"SetIdleTimeout", func(l *link, _ *reactor.Stream) { l.stream.SetIdleTimeout(1) }},
		{"SetReadTimeout", func(l *link, _ *reactor.Stream) { l.stream.SetReadTimeout(1) }},
		{"SetWriteTimeout", func(l *link, _ *reactor.Stream) { l.stream.SetWriteTimeout(1) }},
		{"Reader", func(l *link, _ *reactor.Stream) { l.stream.Reader() }},
		{"Reader.Each", func(l *link, _ *reactor.Stream) { l.stream.Reader().Each(reactor.Fixed(1), func([]byte) {}) }},
		{"Reader.Push", func(l *link, _ *reactor.Stream) { l.stream.Reader().Push(reactor.Line(0), func([]byte) {}) }},
		{"Reader.Unshift", func(l *link, _ *reactor.Stream) { l.stream.Reader().Unshift(reactor.Line(0), nil) }},
		{"what only asks", func(l *link, _ *reactor.Stream) {
			s := l.stream
			s.FDs()
			_ = fmt.Sprint(s.Loop() == l.loop, s.Closed(), s.Paused(), s.Buffered(), s.Congested(), s.Accepted(), s.Unread())
		}},
	}
}

// callback is one of a stream's, and how to have it called.
type callback struct {
	name string
	arm  func(c *reactor.StreamConfig, call func())
	fire func(l *link, call func())
}

func callbacks() []callback {
	nothing := func(*reactor.StreamConfig, func()) {}
	return []callback{
		{"OnData", func(c *reactor.StreamConfig, call func()) { c.OnData = func([]byte) { call() } },
			func(l *link, _ func()) { l.peer.Send(l.t, []byte("x")) }},
		{"OnEOF", func(c *reactor.StreamConfig, call func()) { c.OnEOF = call },
			func(l *link, _ func()) { l.peer.CloseWrite() }},
		{"OnDrain", func(c *reactor.StreamConfig, call func()) { c.HighWater, c.OnDrain = 1, call },
			func(l *link, _ func()) { l.write("x") }},
		{"OnWriteError", func(c *reactor.StreamConfig, call func()) { c.OnWriteError = func(error) { call() } },
			func(l *link, _ func()) { l.peer.CloseRead(); l.write("x") }},
		{"OnTimeout", func(c *reactor.StreamConfig, call func()) { c.OnTimeout = func(reactor.Timeout) { call() } },
			func(l *link, _ func()) { l.stream.SetIdleTimeout(1) }},
		{"OnClose", func(c *reactor.StreamConfig, call func()) { c.OnClose = func(error) { call() } },
			func(l *link, _ func()) { l.stream.Close() }},
		{"a unit's function", nothing, func(l *link, call func()) {
			must(l.t, l.stream.Reader().Each(reactor.Line(0), func([]byte) { call() }))
			l.peer.Send(l.t, []byte("one\ntwo\nthr"))
		}},
	}
}

func TestEveryMethodMayBeCalledFromEveryCallback(t *testing.T) {
	for _, c := range callbacks() {
		for _, m := range methods() {
			t.Run(m.name+" in "+c.name, func(t *testing.T) {
				callInside(t, c, m)
			})
		}
	}
}

// callInside has the method called once in the callback, on each transport, and
// sees the stream and one that it may be coupled to through to their ends.
func callInside(t *testing.T, c callback, m method) {
	loop := newLoop(t)
	for _, transport := range fdtest.Transports() {
		other := newLink(t, loop, transport, nil)
		called := 0
		var l *link
		call := func() {
			if called++; called == 1 {
				m.call(l, other.stream)
			}
		}
		l = newLink(t, loop, transport, func(x *link) reactor.StreamConfig {
			var config reactor.StreamConfig
			c.arm(&config, call)
			return config
		})
		c.fire(l, call)
		l.pollUntil(func() bool { return called > 0 })
		for range 3 {
			l.poll()
			verify(t, loop)
		}
		l.stream.Close()
		other.stream.Close()
		pollTimes(t, loop, 2)
		if want := 1; m.name != "Detach" && l.closed != want || l.closed > want || other.closed != want {
			t.Errorf("%s: OnClose was called %d and %d times", transport.Name, l.closed, other.closed)
		}
		if !l.stream.Closed() || l.stream.Chunks() != 0 {
			t.Errorf("%s: closed %v, holding %d buffers", transport.Name, l.stream.Closed(), l.stream.Chunks())
		}
	}
}

// TestEveryByteBeforeTheEOFIsDelivered also when the other side closes its
// socket altogether, and whatever fits into the kernel at once.
func TestEveryByteBeforeTheEOFIsDelivered(t *testing.T) {
	for _, size := range []int{0, 1, 64 << 10, 192<<10 + 1, 1 << 20, 8 << 20} {
		for name, end := range map[string]func(*fdtest.End){"close": (*fdtest.End).Close, "shutdown": (*fdtest.End).CloseWrite} {
			t.Run(fmt.Sprint(size, " then ", name), func(t *testing.T) {
				onLinks(t, nil, func(t *testing.T, l *link) {
					want := pattern(0, size)
					var sender sync.WaitGroup
					sender.Go(func() {
						l.peer.Send(t, want)
						end(l.peer)
					})
					l.pollUntil(func() bool { return l.saw("eof") })
					sender.Wait()
					wantBytes(t, l.data, want)
					l.stream.CloseWrite()
					l.pollUntil(func() bool { return l.closed > 0 })
					eofs := 0
					for _, call := range l.calls {
						if call == "eof" {
							eofs++
						}
					}
					if eofs != 1 || l.closeErr != nil {
						t.Errorf("the callbacks were %v, the error %v", l.calls, l.closeErr)
					}
				})
			})
		}
	}
}

func TestMuchIsAnsweredAfterTheEOF(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.peer.Send(t, []byte("question"))
		l.peer.CloseWrite()
		l.pollUntil(func() bool { return l.saw("eof") })
		want := pattern(0, 4<<20)
		must(t, l.stream.Write(want))
		l.stream.CloseWrite()
		wantBytes(t, l.receiveEOF(), want)
	})
}

// TestEveryAcceptedByteIsWrittenOrReported counts what the other side gets, and
// what the stream says that it has not got, for each way to end.
func TestEveryAcceptedByteIsWrittenOrReported(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(l *link)
		lost error // what OnClose says if bytes were lost; nil: Close was asked to lose them
	}{
		{"Close", func(l *link) { l.stream.Close() }, nil},
		{"CloseAfterFlush", func(l *link) { l.stream.CloseAfterFlush(-1) }, unix.EPIPE},
		{"CloseAfterFlush too late", func(l *link) { l.stream.CloseAfterFlush(1) }, reactor.ErrTimeout},
		{"a write timeout", func(l *link) { l.stream.SetWriteTimeout(1) }, reactor.ErrTimeout},
		{"the reader goes", func(l *link) { l.peer.CloseRead(); l.stream.CloseWrite(); l.peer.CloseWrite() }, unix.EPIPE},
		{"the loop closes", func(l *link) { must(l.t, l.loop.Close()) }, reactor.ErrClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			onLinks(t, nil, func(t *testing.T, l *link) {
				l.fill(100_000)
				received := 0
				take := func() {
					if l.peer.Read >= 0 {
						data, _ := l.peer.Available(t)
						received += len(data)
					}
				}
				take()
				l.poll()
				c.end(l)
				for l.closed == 0 && l.loop.Poll(10*time.Millisecond) == nil {
					if c.lost != reactor.ErrTimeout {
						take()
					}
					if c.name == "CloseAfterFlush" && l.stream.Buffered() == 0 {
						take()
						l.peer.CloseWrite()
					}
				}
				take()
				accepted, unread := int(l.stream.Accepted()), l.stream.Unread()
				if lost := accepted - received; lost != unread && !(c.name == "the reader goes" && lost > unread) {
					t.Errorf("%d accepted, %d received, but %d reported as not read", accepted, received, unread)
				}
				if unread > 0 != (l.closeErr != nil) && c.lost != nil {
					t.Errorf("%d bytes lost, OnClose got %v", unread, l.closeErr)
				}
				if unread > 0 {
					wantErr(t, l.closeErr, c.lost)
				}
			})
		})
	}
}

// TestStreamsGiveTheirBuffersBackAfterABurst measures what idle streams hold
// afterwards, beyond what a first burst has left with the loop.
func TestStreamsGiveTheirBuffersBackAfterABurst(t *testing.T) {
	const streams, most = 50, 4 << 10
	loop := newLoop(t)
	links := make([]*link, 1+streams)
	for i := range links {
		links[i] = newLink(t, loop, fdtest.Transports()[i%2], nil)
	}
	burst(t, links[0])
	before := heapInUse()
	for _, l := range links[1:] {
		burst(t, l)
	}
	if n := (int64(heapInUse()) - int64(before)) / streams; n > most {
		t.Errorf("%d bytes held by an idle stream", n)
	}
	runtime.KeepAlive(links)
}

// burst moves a megabyte one way and a long line in two pieces the other.
func burst(t *testing.T, l *link) {
	t.Helper()
	units := 0
	must(t, l.stream.Reader().Each(reactor.Line(0), func([]byte) { units++ }))
	must(t, l.stream.Write(make([]byte, 1<<20)))
	for _, piece := range [][]byte{make([]byte, 4000), {'\n'}} {
		l.peer.Send(t, piece)
		l.poll()
	}
	l.pollUntil(func() bool {
		l.peer.Available(t)
		return l.stream.Buffered() == 0 && units == 1
	})
	l.calls = nil
	if n := l.stream.Chunks() + l.stream.Reader().Buffered(); n != 0 {
		t.Errorf("%d buffers and bytes held", n)
	}
}
