package reactor_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/internal/leaktest"
	"github.com/evfork/evfork/reactor"
)

// TestTortureBackendsAndHostsAgree does the same random things on loops of every backend,
// which are polled always, only when FD or NextDeadline says so, and by a Host. Whenever nothing more
// happens, every stream and timer must have been called for the same in the same order on all
// of them, and the same bytes have gone the same ways.
func TestTortureBackendsAndHostsAgree(t *testing.T) {
	tortureRounds(t, 1, func(t *testing.T, seed uint64) {
		leaktest.Check(t)
		var twins []*twin
		for _, backend := range []string{"poll", "epoll", "kqueue"} {
			for _, how := range []string{"polled", "by FD", "hosted"} {
				if w := newTwin(t, backend, how); w != nil {
					twins = append(twins, w)
				}
			}
		}
		rnd := rand.New(rand.NewPCG(seed, 23))
		for step := 0; step < 150 && !t.Failed(); step++ {
			name, act := randomAct(rnd)
			for _, w := range twins {
				act(w)
				w.settle()
				if got, want := w.String(), twins[0].String(); got != want {
					t.Errorf("after step %d, %s:\n%s\n%s", step, name, want, got)
				}
			}
		}
		for _, w := range twins {
			w.end()
		}
	})
}

// twin is one of several loops to which the same is done.
type twin struct {
	t       *testing.T
	clock   *handClock
	loop    *reactor.Loop
	fd      int           // that says when to poll; -1: polled always, or by a host
	outer   *reactor.Loop // the host; nil: none
	streams []*twinStream
	timers  []*reactor.Timer
	calls   []int // of the timers
}

type twinStream struct {
	*reactor.Stream
	peer          *fdtest.End
	calls         []string
	in, sent, got int // bytes read by the stream, written and read by its peer
}

// newTwin returns nil if there is no such backend here, or no descriptor for a host.
func newTwin(t *testing.T, backend, how string) *twin {
	w := &twin{t: t, clock: &handClock{}, fd: -1}
	config := reactor.Config{Backend: backend, Clock: w.clock}
	var err error
	if w.loop, err = reactor.New(config); errors.Is(err, reactor.ErrUnsupported) {
		return nil
	}
	must(t, err)
	switch fd, err := w.loop.FD(); {
	case how == "polled":
	case err != nil:
		wantErr(t, err, reactor.ErrUnsupported)
		shut(t, w.loop)
		return nil
	case how == "by FD":
		w.fd = fd
	default:
		w.outer, err = reactor.New(config)
		must(t, err)
		w.loop.Hold()
		_, err = w.outer.Host(w.loop, func(err error) { t.Errorf("the hosting ended with %v", err) })
		must(t, err)
	}
	return w
}

// settle polls until nothing happens any more.
func (w *twin) settle() {
	for quiet, polls := 0, 0; quiet < 3; polls++ {
		before := w.loop.Stats()
		at, timed := w.loop.NextDeadline()
		switch {
		case w.outer != nil:
			must(w.t, w.outer.Poll(0))
		case w.fd < 0 || fdtest.Readable(w.t, w.fd) || timed && !at.After(w.clock.Wall()):
			must(w.t, w.loop.Poll(0))
		}
		verify(w.t, w.loop)
		now := w.loop.Stats()
		if quiet++; now.Events+now.Timers+now.Posts+now.Reads+now.Writes > before.Events+before.Timers+before.Posts+before.Reads+before.Writes {
			quiet = 0
		}
		if polls > 10_000 {
			w.t.Fatalf("the loop spins on %s: %+v", w.loop.Backend(), now)
		}
	}
}

// String is what must be the same.
func (w *twin) String() string {
	var b strings.Builder
	for i, s := range w.streams {
		fmt.Fprintf(&b, "stream %d: %s; in %d, sent %d, got %d, accepted %d, buffered %d, congested %v, closed %v\n", i,
			strings.Join(s.calls, ", "), s.in, s.sent, s.got, s.Accepted(), s.Buffered(), s.Congested(), s.Closed())
	}
	for i, timer := range w.timers {
		fmt.Fprintf(&b, "timer %d: %d calls, active %v, %v remain\n", i, w.calls[i], timer.Active(), timer.Remaining())
	}
	return b.String()
}

func (w *twin) end() {
	for _, s := range w.streams {
		s.peer.Close()
	}
	if w.outer != nil {
		shut(w.t, w.outer)
	}
	shut(w.t, w.loop)
}

// open adds a stream; of the sockets all that happens is told in one order.
func (w *twin) open(high, limit int) {
	s := &twinStream{}
	ours, theirs := fdtest.Sockets(w.t)
	fdtest.Shrink(w.t, ours.Write)
	s.peer = theirs
	note := func(format string, args ...any) { s.calls = append(s.calls, fmt.Sprintf(format, args...)) }
	var err error
	s.Stream, err = w.loop.NewStream(ours.Read, ours.Write, reactor.StreamConfig{
		HighWater: high, MaxBuffered: limit,
		OnData:       func(data []byte) { s.in += len(data) },
		OnEOF:        func() { note("EOF after %d", s.in) },
		OnDrain:      func() { note("drain") },
		OnTimeout:    func(which reactor.Timeout) { note("%v", which) },
		OnWriteError: func(err error) { note("write error, EPIPE %v", errors.Is(err, unix.EPIPE)) },
		OnClose:      func(err error) { note("close, error %v, timeout %v", err != nil, errors.Is(err, reactor.ErrTimeout)) },
	})
	must(w.t, err)
	w.streams = append(w.streams, s)
}

// randomAct draws something to do, once for all twins.
func randomAct(rnd *rand.Rand) (name string, act func(w *twin)) {
	i, n := rnd.IntN(1000), 1+rnd.IntN(20_000)
	d := time.Duration(rnd.IntN(40)) * time.Millisecond
	period := time.Duration(rnd.IntN(2)*(1+rnd.IntN(20))) * time.Millisecond
	switch rnd.IntN(10) {
	case 0:
		return "open", func(w *twin) { w.open(n, n+i) }
	case 1:
		return "advance", func(w *twin) { w.clock.now += d }
	case 2:
		return "a timer", func(w *twin) {
			at := len(w.timers)
			w.calls = append(w.calls, 0)
			w.timers = append(w.timers, w.loop.Every(d, period, func() { w.calls[at]++ }))
		}
	case 3:
		return "changing a timer", func(w *twin) {
			if len(w.timers) > 0 {
				changes := []func(*reactor.Timer){(*reactor.Timer).Stop, (*reactor.Timer).Start, (*reactor.Timer).Again,
					func(timer *reactor.Timer) { timer.Reset(d) }, func(timer *reactor.Timer) { _ = timer.Feed() }}
				changes[i%len(changes)](w.timers[n%len(w.timers)])
			}
		}
	}
	acts := []func(*twinStream){randomStreamAct(rnd), randomStreamAct(rnd)}
	posted := rnd.IntN(2) == 0
	return "changing a stream", func(w *twin) {
		if len(w.streams) == 0 {
			return
		}
		s := w.streams[i%len(w.streams)]
		do := func() {
			for _, act := range acts {
				act(s)
			}
		}
		if posted {
			must(w.t, w.loop.Post(do))
		} else {
			do()
		}
	}
}

// randomStreamAct draws something to do to a stream, or to its peer.
func randomStreamAct(rnd *rand.Rand) func(s *twinStream) {
	n, d := 1+rnd.IntN(20_000), time.Duration(1+rnd.IntN(40))*time.Millisecond
	note := func(s *twinStream, err error) { s.calls = append(s.calls, fmt.Sprint("refused ", err != nil)) }
	write := func(s *twinStream) { note(s, s.Write(pattern(0, n))) }
	receive := func(s *twinStream) {
		buf := make([]byte, n)
		k, _ := unix.Read(s.peer.Read, buf)
		s.got += max(k, 0)
	}
	send := func(s *twinStream) {
		k, _ := unix.Write(s.peer.Write, pattern(0, n))
		s.sent += max(k, 0)
	}
	often := []func(*twinStream){write, write, write, receive, receive, receive, send, send, send}
	seldom := []func(*twinStream){
		func(s *twinStream) { note(s, s.Pause()) },
		func(s *twinStream) { note(s, s.Resume()) },
		func(s *twinStream) { note(s, s.PipeTo(s.Stream)) },
		func(s *twinStream) { note(s, s.PipeTo(nil)) },
		func(s *twinStream) { note(s, s.PauseWhileCongested(s.Stream)) },
		func(s *twinStream) { s.SetIdleTimeout(d) },
		func(s *twinStream) { s.SetReadTimeout(d) },
		func(s *twinStream) { s.SetWriteTimeout(d) },
		func(s *twinStream) { s.SetCork(n) },
		func(s *twinStream) { s.Flush() },
	}
	last := []func(*twinStream){
		func(s *twinStream) { s.CloseWrite() },
		func(s *twinStream) { s.CloseRead() },
		func(s *twinStream) { s.CloseAfterFlush(d) },
		func(s *twinStream) { s.peer.CloseWrite() },
		func(s *twinStream) { s.peer.CloseRead() },
		func(s *twinStream) { s.peer.Close() },
	}
	all := slices.Concat(often, often, seldom, last)
	return all[rnd.IntN(len(all))]
}
