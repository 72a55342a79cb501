package child_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// What a child had written last was dropped if its stream was piped to another: in a proxy, whose directions are one each,
// or if a grandchild held the pipe. Its exit closed the other stream, which had not written yet.
func TestLastBytesReachTheStreamThatAChildIsPipedTo(t *testing.T) {
	for _, script := range []string{"echo hello", "sleep 1000 & echo hello"} {
		for _, proxy := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, a proxy: %v", script, proxy), func(t *testing.T) {
				f := newFixture(t)
				near, far := f.socketpair()
				got, eof := "", false
				_, err := f.NewStream(far, far, reactor.StreamConfig{
					OnData: func(data []byte) { got += string(data) },
					OnEOF:  func() { eof = true },
				})
				must(t, err)
				client, err := f.NewStream(near, near, reactor.StreamConfig{})
				must(t, err)
				k := f.startPipedTo(client, script)
				if proxy {
					must(t, client.PipeTo(k.stream))
				}
				f.until(func() bool { return k.ended() && eof })
				if got != "hello\n" {
					t.Errorf("%q has come", got)
				}
			})
		}
	}
}

// startPipedTo starts a shell whose output is read, and written to another stream, only when it has exited.
func (f *fixture) startPipedTo(to *reactor.Stream, script string) *kid {
	f.t.Helper()
	k := f.startUnclaimed(shell(script))
	var err error
	k.stream, err = k.Open(reactor.StreamConfig{})
	must(f.t, err)
	k.Ready()
	must(f.t, k.stream.Pause())
	must(f.t, k.stream.PipeTo(to))
	return k
}

func (f *fixture) socketpair() (near, far int) {
	f.t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	must(f.t, err)
	unix.CloseOnExec(fds[0])
	unix.CloseOnExec(fds[1])
	return fds[0], fds[1]
}

// startToRead starts a script whose output the test reads.
func (f *fixture) startToRead(script string) (*kid, *reactor.Stream) {
	f.t.Helper()
	k := f.startUnclaimed(shell(script))
	s, err := k.Open(reactor.StreamConfig{})
	must(f.t, err)
	k.Ready()
	return k, s
}

// The last line of a child, without its "\n", was dropped if a grandchild held the pipe: no EOF came that would have ended it.
func TestLastLineIsDeliveredWhenTheChildHasExited(t *testing.T) {
	for _, script := range []string{"printf 'one\ntwo'", "sleep 1000 & printf 'one\ntwo'"} {
		t.Run(script, func(t *testing.T) {
			f := newFixture(t)
			k, s := f.startToRead(script)
			var got []string
			must(t, s.Reader().Each(reactor.Line(0).OrEOF(), func(line []byte) { got = append(got, string(line)) }))
			var atTheEnd []string
			k.OnEnd(func(error) { atTheEnd = got })
			f.until(k.ended)
			if want := []string{"one", "two"}; !slices.Equal(atTheEnd, want) {
				t.Errorf("%q has come", atTheEnd)
			}
		})
	}
}

// What a Reader holds, because nobody has asked for it, can still be asked for when the child has exited.
func TestLinesThatNobodyHasAskedForCanBeAskedForAtTheEnd(t *testing.T) {
	for _, script := range []string{"printf 'one\ntwo\n'", "sleep 1000 & printf 'one\ntwo\n'"} {
		t.Run(script, func(t *testing.T) {
			f := newFixture(t)
			k, s := f.startToRead(script)
			var got []string
			take := func(line []byte) { got = append(got, string(line)) }
			must(t, s.Reader().Push(reactor.Line(0), take))
			k.OnEnd(func(error) {
				must(t, s.Reader().Push(reactor.Line(0), take))
				s.Drain()
			})
			f.until(k.ended)
			if want := []string{"one", "two"}; !slices.Equal(got, want) {
				t.Errorf("%q has come", got)
			}
		})
	}
}

// What a Reader had not been asked for when the child exited was dropped before anybody was told of the end, if a grandchild held the pipe.
func TestWhatAReaderHoldsIsThereWhenTheEndIsTold(t *testing.T) {
	for _, script := range []string{"printf 'one\ntwo'", "sleep 1000 & printf 'one\ntwo'"} {
		t.Run(script, func(t *testing.T) {
			f := newFixture(t)
			k, s := f.startToRead(script)
			must(t, s.Reader().Push(reactor.Line(0), nil))
			left := ""
			k.OnEnd(func(error) {
				r, w, unread, _ := s.Detach()
				left = string(unread)
				for _, fd := range []int{r, w} {
					if fd >= 0 {
						unix.Close(fd)
					}
				}
			})
			f.until(k.ended)
			if left != "two" {
				t.Errorf("%q is left", left)
			}
		})
	}
}

// The end of units made a Reader of every child's stream whose pipe a grandchild held, and OnData got nothing any more.
func TestExitLeavesAStreamWithoutAReaderToOnData(t *testing.T) {
	f := newFixture(t)
	k := f.startUnclaimed(shell("sleep 1000 & printf hello"))
	got := ""
	s, err := k.Open(reactor.StreamConfig{OnData: func(p []byte) { got += string(p) }})
	must(t, err)
	k.Ready()
	has := true
	k.OnEnd(func(error) { has = s.HasReader() })
	f.until(k.ended)
	if has || got != "hello" {
		t.Errorf("a Reader was made: %v; OnData got %q", has, got)
	}
}

// TestInputForAChildThatIsGoneCanBeDropped: its writer does not hear that nobody reads, whether the end of the pipe or the exit comes first.
func TestInputForAChildThatIsGoneCanBeDropped(t *testing.T) {
	for _, script := range []string{"exit 0", "exec 0<&-; exec sleep 1000", "exec 3<&0; sleep 1000 <&3 & exit 0"} {
		f := newFixture(t)
		r, w := fdtest.Pipe(t)
		defer unix.Close(w)
		source, err := f.NewStream(r, -1, reactor.StreamConfig{})
		must(t, err)
		readOn := func() { must(t, source.PipeTo(nil)) }
		k := f.startUnclaimed(shell(script))
		s, err := k.Open(reactor.StreamConfig{OnWriteError: func(error) { readOn() }})
		must(t, err)
		k.Ready()
		k.OnExit(func(child.ExitState) { readOn() })
		must(t, source.PipeTo(s))
		for range 300 { // more than all pipes and buffers hold
			for left := make([]byte, 10_000); len(left) > 0; must(t, f.Poll(time.Millisecond)) {
				n, err := unix.Write(w, left)
				if err != nil && err != unix.EAGAIN {
					t.Fatalf("%q: %v", script, err)
				}
				left = left[max(n, 0):]
			}
		}
		_ = k.Kill() // of one that has exited: ErrExited
		f.until(k.ended)
	}
}
