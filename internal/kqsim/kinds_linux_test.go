package kqsim_test

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/internal/kqsim"
	"github.com/evfork/evfork/internal/poller/kevent"
)

// Kinds of files that some systems treat in a way of their own.

func openFile(t testing.TB, path string, flags int) int {
	t.Helper()
	fd, err := unix.Open(path, flags|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	must(t, err)
	return fd
}

// TestEndOfANamedPipeIsToldUnlessItIsAQuirk, and what is written is told in any
// case, whoever writes it.
func TestEndOfANamedPipeIsToldUnlessItIsAQuirk(t *testing.T) {
	for _, quirk := range []bool{false, true} {
		q := newQueue(t, kqsim.Quirks{FIFOStaysOpen: quirk})
		path := filepath.Join(t.TempDir(), "fifo")
		must(t, unix.Mkfifo(path, 0o600))
		reader := openFile(t, path, unix.O_RDONLY)
		defer unix.Close(reader)
		apply(t, q, change(reader, kevent.EVFILT_READ, kevent.EV_ADD))

		for range 2 { // writers
			writer := openFile(t, path, unix.O_WRONLY)
			wantCount(t, q, 0)
			_, err := unix.Write(writer, []byte("xy"))
			must(t, err)
			must(t, unix.Close(writer))
			var buf [1]byte
			for left := 2; left > 0; left-- {
				for range 2 { // it is a level
					ev := wantCount(t, q, 1)[0]
					if eof := ev.Flags&kevent.EV_EOF != 0; ev.Data != int64(left) || eof == quirk {
						t.Errorf("quirk %v, %d bytes left: got %+v", quirk, left, ev)
					}
				}
				_, err := unix.Read(reader, buf[:])
				must(t, err)
			}
			for range 2 {
				wantCount(t, q, map[bool]int{false: 1, true: 0}[quirk])
			}
			if fdtest.Readable(t, q.FD()) == quirk {
				t.Errorf("quirk %v: the queue is readable: %v", quirk, !quirk)
			}
		}
	}
}

// TestPipesWithoutANameTellTheirEnd: FIFOStaysOpen is not about them.
func TestPipesWithoutANameTellTheirEnd(t *testing.T) {
	q, p := newQueue(t, kqsim.Quirks{FIFOStaysOpen: true}), pipe(t)
	apply(t, q, change(p.Read, kevent.EVFILT_READ, kevent.EV_ADD))
	p.CloseWrite()
	if ev := wantCount(t, q, 1)[0]; ev.Flags&kevent.EV_EOF == 0 {
		t.Errorf("got %+v", ev)
	}
}

func TestTerminalIsRefusedIfThatIsAQuirk(t *testing.T) {
	for _, quirk := range []bool{false, true} {
		q := newQueue(t, kqsim.Quirks{NoTerminals: quirk})
		terminal := openFile(t, "/dev/ptmx", unix.O_RDWR)
		defer unix.Close(terminal)
		want := map[bool]error{false: nil, true: unix.EINVAL}[quirk]
		for _, filter := range []kevent.Filter{kevent.EVFILT_READ, kevent.EVFILT_WRITE} {
			if _, err := q.Kevent([]kevent.Event{change(terminal, filter, kevent.EV_ADD)}, nil, none); err != want {
				t.Errorf("quirk %v, %v: got %v, want %v", quirk, filter, err, want)
			}
		}
	}
}
