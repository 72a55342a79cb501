package reactor_test

import (
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// lines has a link's reader record every line.
func (l *link) lines(got *[]string) *reactor.Reader {
	l.t.Helper()
	r := l.stream.Reader()
	must(l.t, r.Each(reactor.Line(0), func(line []byte) { *got = append(*got, string(line)) }))
	return r
}

func wantStrings(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReaderGetsTheBytesInsteadOfOnDataAndOnEOFComesLast(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		var got []string
		l.lines(&got)
		l.peer.Send(t, []byte("one\ntw"))
		l.pollUntil(func() bool { return len(got) == 1 })
		l.peer.Send(t, []byte("o\n"))
		l.peer.CloseWrite()
		l.pollUntil(func() bool { return l.saw("eof") })
		wantStrings(t, got, "one", "two")
		l.stream.CloseWrite()
		l.pollUntil(func() bool { return l.closed > 0 })
		l.wantCalls("eof close")
	})
}

func TestStreamOfAReaderThatIsAskedForNothingDoesNotRead(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		r := l.stream.Reader()
		l.peer.Send(t, []byte("one\ntwo\nthree\n"))
		pollTimes(t, l.loop, 3)
		if n := l.loop.Stats().Reads; n != 0 {
			t.Errorf("%d reads", n)
		}
		var got []string
		note := func(line []byte) { got = append(got, string(line)) }
		must(t, r.Push(reactor.Line(0), note))
		l.pollUntil(func() bool { return len(got) == 1 })
		pollTimes(t, l.loop, 3)
		wantStrings(t, got, "one")
		must(t, r.Push(reactor.Line(0), note)) // it is held already
		wantStrings(t, got, "one")             // not inside Push
		l.pollUntil(func() bool { return len(got) == 2 })
		if l.stream.Paused() {
			t.Error("Paused speaks of Pause alone")
		}
		if l.stream.Reader() != r {
			t.Error("a second reader")
		}
	})
}

func TestPausedStreamDeliversNoUnitThatItHasRead(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		var got []string
		must(t, l.stream.Reader().Each(reactor.Line(0), func(line []byte) {
			got = append(got, string(line))
			must(t, l.stream.Pause())
		}))
		l.peer.Send(t, []byte("one\ntwo\nthree\n"))
		l.peer.CloseWrite()
		for i, want := range [][]string{{"one"}, {"one", "two"}, {"one", "two", "three"}} {
			l.pollUntil(func() bool { return len(got) == i+1 })
			pollTimes(t, l.loop, 3)
			wantStrings(t, got, want...)
			if l.saw("eof") {
				t.Error("an EOF before the last unit")
			}
			must(t, l.stream.Resume())
			wantStrings(t, got, want...) // not inside Resume
		}
		l.pollUntil(func() bool { return l.saw("eof") })
	})
}

// TestDrainDeliversTheUnitsThatAreHeld: Drain reads a paused stream.
func TestDrainDeliversTheUnitsThatAreHeld(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		var got []string
		l.lines(&got)
		must(t, l.stream.Pause())
		l.peer.Send(t, []byte("one\ntwo\n"))
		l.peer.CloseWrite()
		l.stream.CloseWrite()
		pollTimes(t, l.loop, 3)
		wantStrings(t, got)
		for range 3 {
			l.stream.Drain()
		}
		wantStrings(t, got, "one", "two")
		l.pollUntil(func() bool { return l.closed > 0 })
		l.wantCalls("eof close")
	})
}

// Also those that had been read before; and the stream is paused again afterwards.
func TestDrainDeliversUnitsThatWereReadAndThenHeld(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		var got []string
		must(t, l.stream.Reader().Each(reactor.Line(0), func(line []byte) {
			got = append(got, string(line))
			must(t, l.stream.Pause())
		}))
		l.peer.Send(t, []byte("one\ntwo\nthree\n"))
		l.pollUntil(func() bool { return len(got) > 0 })
		pollTimes(t, l.loop, 3)
		wantStrings(t, got, "one")
		l.stream.Drain()
		wantStrings(t, got, "one", "two", "three")
		l.peer.Send(t, []byte("four\n"))
		pollTimes(t, l.loop, 3)
		wantStrings(t, got, "one", "two", "three")
		must(t, l.stream.Resume())
		l.pollUntil(func() bool { return len(got) > 3 })
	})
}

func TestDrainedEOFWaitsForWhoAsksForTheRest(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		r := l.stream.Reader()
		l.peer.Send(t, []byte("one\n"))
		l.peer.CloseWrite()
		for range 3 {
			l.stream.Drain()
		}
		pollTimes(t, l.loop, 3)
		l.wantCalls("")
		var got []string
		must(t, r.Push(reactor.Line(0), func(line []byte) { got = append(got, string(line)) }))
		l.pollUntil(func() bool { return l.saw("eof") })
		wantStrings(t, got, "one")
	})
}

func TestDrainInsideAUnitKeepsTheOrder(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		var got []string
		must(t, l.stream.Reader().Each(reactor.Line(0), func(line []byte) {
			got = append(got, string(line))
			if len(got) == 1 {
				l.peer.Send(t, []byte("four\n"))
				l.peer.CloseWrite()
				for range 3 {
					l.stream.Drain()
				}
				if l.saw("eof") {
					t.Error("the EOF came before the last unit")
				}
			}
		}))
		l.peer.Send(t, []byte("one\ntwo\nthree\n"))
		l.pollUntil(func() bool { return l.saw("eof") })
		wantStrings(t, got, "one", "two", "three", "four")
	})
}

func TestUnitErrorsFailTheStream(t *testing.T) {
	for _, c := range []struct {
		name string
		send string
		want error
	}{
		{"too long", "abcd", reactor.ErrTooLong},
		{"partial", "ab", io.ErrUnexpectedEOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			onLinks(t, nil, func(t *testing.T, l *link) {
				must(t, l.stream.Reader().Each(reactor.Line(3), func([]byte) {}))
				l.peer.Send(t, []byte(c.send))
				l.peer.CloseWrite()
				l.pollUntil(func() bool { return l.closed > 0 })
				wantErr(t, l.closeErr, c.want)
				l.wantCalls("close")
				var partial *reactor.PartialError
				if errors.As(l.closeErr, &partial) && string(partial.Partial) != c.send {
					t.Errorf("the partial unit is %q", partial.Partial)
				}
			})
		})
	}
}

func TestLastLineWithoutAnEndIsDelivered(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		var got []string
		r := l.stream.Reader()
		must(t, r.Each(reactor.Line(0).OrEOF(), func(line []byte) {
			got = append(got, string(line))
			must(t, r.Each(reactor.Line(0), func([]byte) {})) // asking again must not hurt
		}))
		l.peer.Send(t, []byte("last"))
		l.pollUntil(func() bool { return r.Buffered() == 4 })
		l.peer.CloseWrite()
		l.pollUntil(func() bool { return l.saw("eof") })
		pollTimes(t, l.loop, 3)
		wantStrings(t, got, "last")
		l.wantCalls("eof")
		wantErr(t, r.Push(reactor.Line(0), nil), io.EOF)
	})
}

// TestEndingTheStreamInsideAUnitDeliversNoOther in each of the ways to end it.
func TestEndingTheStreamInsideAUnitDeliversNoOther(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(l *link)
	}{
		{"Close", func(l *link) { l.stream.Close() }},
		{"CloseRead", func(l *link) { l.stream.CloseRead() }},
		{"CloseAfterFlush", func(l *link) { l.stream.CloseAfterFlush(0) }},
		{"Detach", func(l *link) {
			r, w, unread, unwritten := l.stream.Detach()
			wantBytes(l.t, unread, []byte("two\nthr"))
			wantBytes(l.t, unwritten, nil)
			closeBoth(r, w)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			onLinks(t, nil, func(t *testing.T, l *link) {
				for _, pieces := range [][]string{{"one\ntwo\nthr"}, {"o", "ne\ntwo\nthr"}} {
					again := newLink(t, l.loop, fdtest.Transports()[0], nil)
					var got []string
					r := again.stream.Reader()
					must(t, r.Each(reactor.Line(0), func(line []byte) {
						c.end(again)
						got = append(got, string(line)) // still valid
						wantErr(t, r.Push(reactor.Line(0), nil), reactor.ErrClosed)
					}))
					for _, p := range pieces {
						again.peer.Send(t, []byte(p))
						pollTimes(t, l.loop, 3)
					}
					verify(t, l.loop)
					wantStrings(t, got, "one")
				}
			})
		})
	}
}

func TestReaderOfAClosedStreamRefusesEverything(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		r := l.stream.Reader()
		l.stream.Close()
		wantErr(t, r.Each(reactor.Line(0), nil), reactor.ErrClosed)
		wantErr(t, l.stream.Reader().Push(reactor.Line(0), nil), reactor.ErrClosed)
	})
}

// TestStreamReaderAllocatesNothingInSteadyState has a unit in two pieces each time.
func TestStreamReaderAllocatesNothingInSteadyState(t *testing.T) {
	if raceEnabled {
		t.Skip("under -race pools are emptied at random: nothing to count")
	}
	onLinks(t, nil, func(t *testing.T, l *link) {
		units := 0
		r := l.stream.Reader()
		must(t, r.Each(reactor.Line(0), func(line []byte) {
			units++
			must(t, l.stream.Write(line))
		}))
		message := []byte("0123456789\n01234")
		rest := []byte("56789\n")
		var buf [64]byte
		n := testing.AllocsPerRun(1000, func() {
			l.peer.Send(t, message)
			l.poll()
			l.peer.Send(t, rest)
			l.poll()
			l.peer.Receive(t, buf[:])
		})
		if n != 0 || units != 2002 {
			t.Errorf("%v allocations, %d units", n, units)
		}
	})
}
