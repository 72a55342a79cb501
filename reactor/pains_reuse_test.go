package reactor_test

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// A number that is closed is the next one to be given out. What still knows it,
// an event of the kernel or a handle of the program, must not reach its new owner.

// TestStaleStreamHandleLeavesTheNewOwnerAlone: every method, called on a stream
// whose descriptors' numbers are somebody else's by now.
func TestStaleStreamHandleLeavesTheNewOwnerAlone(t *testing.T) {
	for _, transport := range fdtest.Transports() {
		t.Run(transport.Name, func(t *testing.T) {
			loop := newLoop(t)
			old := newLink(t, loop, transport, nil)
			r, w := old.stream.FDs()
			must(t, old.stream.Write([]byte("queued")))
			old.stream.Close()

			ours, theirs := transport.Open(t)
			defer ours.Close()
			defer theirs.Close()
			taken := map[int]bool{ours.Read: true, ours.Write: true, theirs.Read: true, theirs.Write: true}
			if !taken[r] || !taken[w] {
				t.Fatalf("%d and %d were not given out again, but %v", r, w, taken)
			}
			theirs.Send(t, []byte("in"))

			useStale(t, old.stream)
			pollTimes(t, loop, 3)
			useStale(t, old.stream) // after OnClose, too
			old.wantCalls("close")
			if got, eof := theirs.Available(t); len(got) > 0 || eof {
				t.Errorf("the new owner's other side got %q, EOF %v", got, eof)
			}
			if got, eof := ours.Available(t); string(got) != "in" || eof {
				t.Errorf("the new owner has %q to read, EOF %v", got, eof)
			}
		})
	}
}

// useStale calls everything that could touch a descriptor.
func useStale(t *testing.T, s *reactor.Stream) {
	t.Helper()
	wantErr(t, s.Write([]byte("stale")), reactor.ErrClosed)
	wantErr(t, s.Commit(append(s.AppendBuffer(), "stale"...)), reactor.ErrClosed)
	s.Flush()
	s.Drain()
	must(t, s.Pause())
	must(t, s.Resume())
	s.CloseWrite()
	s.Close()
	if r, w := s.FDs(); r >= 0 || w >= 0 {
		t.Errorf("the closed stream has descriptors %d and %d", r, w)
	}
}

// TestStaleWatcherHandleLeavesTheNewOwnerAlone: Stop of a watcher that was
// stopped before must not take away what its number's new owner registered.
func TestStaleWatcherHandleLeavesTheNewOwnerAlone(t *testing.T) {
	loop := newLoop(t)
	p := readyPipe(t)
	old := watch(t, loop, p.Read, reactor.Read, func(reactor.Ready) { t.Error("the stopped watcher was called") })
	must(t, old.Stop())
	number := p.Read
	p.CloseRead()

	q := readyPipe(t)
	if q.Read != number {
		t.Fatalf("%d was not given out again, but %d", number, q.Read)
	}
	calls := 0
	watch(t, loop, q.Read, reactor.Read, func(reactor.Ready) { calls++ })
	must(t, old.Stop())
	must(t, old.SetInterest(reactor.Write))
	wantErr(t, old.Feed(reactor.Write), reactor.ErrNotActive)
	pollTimes(t, loop, 3)
	if calls != 3 {
		t.Errorf("the new owner was called in %d of 3 iterations", calls)
	}
}

// TestReuseInEveryIterationWithTwoFreeDescriptors has a process with two numbers
// left, so that every connection has those of the last one. In each second
// iteration a callback replaces the connection while an event of the old one
// waits behind it in the same batch.
func TestReuseInEveryIterationWithTwoFreeDescriptors(t *testing.T) {
	if !alone(t) {
		return
	}
	loop := newLoop(t)
	trigger := readyPipe(t)
	leaveDescriptors(t, 2)
	reuse := &reuser{t: t, loop: loop}
	reuse.open()
	numbers := reuse.numbers()
	w := watch(t, loop, trigger.Read, reactor.Read, func(reactor.Ready) {
		reuse.stream.Close()
		unix.Close(reuse.peer)
		reuse.open()
		if got := reuse.numbers(); got != numbers {
			t.Errorf("the new connection is %s, the old one was %s", got, numbers)
		}
	})
	must(t, w.SetPriority(reactor.MaxPriority)) // before the old connection's event, that is

	const rounds = 2000
	for round := range rounds {
		reuse.send(byte(round))
		must(t, w.Start())
		pollTimes(t, loop, 1) // the sent byte's event is behind the trigger's
		if reuse.got != round {
			t.Fatalf("%d bytes have come in %d rounds", reuse.got, round)
		}
		must(t, w.Stop())
		reuse.want = byte(round + 1)
		reuse.send(reuse.want)
		pollTimes(t, loop, 1)
		if reuse.got != round+1 {
			t.Fatalf("%d bytes have come in %d rounds", reuse.got, round+1)
		}
	}
	unix.Close(reuse.peer)
	run(t, loop)
	if s := loop.Stats(); reuse.closed != rounds+1 || s.Streams != 0 {
		t.Errorf("OnClose was called %d times for %d streams, %d are left", reuse.closed, rounds+1, s.Streams)
	}
}

// reuser has one connection at a time: a stream, and a peer that is a number.
type reuser struct {
	t      *testing.T
	loop   *reactor.Loop
	stream *reactor.Stream
	peer   int
	want   byte
	got    int // bytes, over all connections
	closed int // connections
}

func (r *reuser) open() {
	a, b := fdtest.Socketpair(r.t)
	r.peer = b
	var s *reactor.Stream
	s, err := r.loop.NewStream(a, a, reactor.StreamConfig{
		OnData: func(data []byte) {
			r.got += len(data)
			if s != r.stream || len(data) != 1 || data[0] != r.want {
				r.t.Errorf("got %v on the connection in use: %v, want %d", data, s == r.stream, r.want)
			}
		},
		OnEOF:   func() { s.Close() },
		OnClose: func(error) { r.closed++ },
	})
	must(r.t, err)
	r.stream = s
}

func (r *reuser) numbers() string {
	fd, _ := r.stream.FDs()
	return fmt.Sprint(fd, r.peer)
}

func (r *reuser) send(b byte) {
	_, err := unix.Write(r.peer, []byte{b})
	must(r.t, err)
}

// leaveDescriptors uses up all descriptors but some until the end of the test.
func leaveDescriptors(t *testing.T, free int) {
	t.Helper()
	var before unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &before))
	highest := 0
	for fd := range 1024 {
		if fdtest.Open(fd) {
			highest = fd
		}
	}
	for { // the holes below the highest
		fd := fdtest.Dup(t, 0)
		if fd > highest {
			unix.Close(fd)
			break
		}
		t.Cleanup(func() { unix.Close(fd) })
	}
	limit := before
	limit.Cur = uint64(highest + 1 + free)
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
	t.Cleanup(func() { must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &before)) })
}
