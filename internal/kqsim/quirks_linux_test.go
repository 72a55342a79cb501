package kqsim_test

import (
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/internal/kqsim"
	"github.com/evfork/evfork/internal/poller/kevent"
)

// TestErrorOfAClosedDescriptor is EBADF, or what the quirk says, for every change.
func TestErrorOfAClosedDescriptor(t *testing.T) {
	for _, c := range []struct{ quirk, want unix.Errno }{{0, unix.EBADF}, {kqsim.NotCapable, kqsim.NotCapable}} {
		q, p := newQueue(t, kqsim.Quirks{ClosedFD: c.quirk}), pipe(t)
		apply(t, q, change(p.Read, kevent.EVFILT_READ, kevent.EV_ADD))
		number := p.Read
		p.CloseRead()
		for _, flags := range []kevent.Flags{kevent.EV_DELETE, kevent.EV_ADD, kevent.EV_DISABLE} {
			if _, err := q.Kevent([]kevent.Event{change(number, kevent.EVFILT_READ, flags)}, nil, none); err != c.want {
				t.Errorf("flags %#x: got %v, want %v", flags, err, c.want)
			}
		}
	}
}

func TestDeafUserFilterIsNeverReported(t *testing.T) {
	q := newQueue(t, kqsim.Quirks{DeafUser: true})
	apply(t, q, change(0, kevent.EVFILT_USER, kevent.EV_ADD|kevent.EV_CLEAR))
	apply(t, q, kevent.Event{Filter: kevent.EVFILT_USER, Fflags: kevent.NOTE_TRIGGER})
	wantCount(t, q, 0)
	if fdtest.Readable(t, q.FD()) {
		t.Error("the queue is readable")
	}
}

// TestUserFilterOutlivesAClosedDescriptor: a descriptor that is closed while its
// duplicate is readable has a set made anew, which the filter was taken into.
func TestUserFilterOutlivesAClosedDescriptor(t *testing.T) {
	q, p := newQueue(t, kqsim.Quirks{}), pipe(t)
	apply(t, q, change(0, kevent.EVFILT_USER, kevent.EV_ADD|kevent.EV_CLEAR), change(p.Read, kevent.EVFILT_READ, kevent.EV_ADD))
	dup := fdtest.Dup(t, p.Read)
	defer unix.Close(dup)
	p.CloseRead()
	p.Send(t, []byte("x"))
	wantCount(t, q, 0)
	apply(t, q, kevent.Event{Filter: kevent.EVFILT_USER, Fflags: kevent.NOTE_TRIGGER})
	if ev := wantCount(t, q, 1)[0]; ev.Filter != kevent.EVFILT_USER {
		t.Errorf("got %+v", ev)
	}
}

// TestWriteFilterOfAFileIsReportedOnceOrForEver, whenever it is added.
func TestWriteFilterOfAFileIsReportedOnceOrForEver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(path, []byte("abc"), 0o600))
	for _, endless := range []bool{false, true} {
		q := newQueue(t, kqsim.Quirks{EndlessFiles: endless})
		fd := openFile(t, path, unix.O_RDWR)
		defer unix.Close(fd)
		for range 2 {
			apply(t, q, change(fd, kevent.EVFILT_WRITE, kevent.EV_ADD))
			if !fdtest.Readable(t, q.FD()) {
				t.Error("the queue is not readable")
			}
			wantCount(t, q, 1)
			for range 2 {
				wantCount(t, q, map[bool]int{false: 0, true: 1}[endless])
			}
			if fdtest.Readable(t, q.FD()) != endless {
				t.Errorf("endless %v: the queue is readable: %v", endless, !endless)
			}
		}
		apply(t, q, change(fd, kevent.EVFILT_WRITE, kevent.EV_DELETE))
		wantCount(t, q, 0)
	}
}

func TestReadFilterOfAFileIsReportedUntilItsEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(path, []byte("abc"), 0o600))
	q := newQueue(t, kqsim.Quirks{})
	fd := openFile(t, path, unix.O_RDWR)
	defer unix.Close(fd)
	apply(t, q, change(fd, kevent.EVFILT_READ, kevent.EV_ADD))
	for range 2 {
		if ev := wantCount(t, q, 1)[0]; ev.Data != 3 {
			t.Errorf("got %+v, want 3 bytes", ev)
		}
	}
	_, err := unix.Read(fd, make([]byte, 3))
	must(t, err)
	wantCount(t, q, 0)
	if fdtest.Readable(t, q.FD()) {
		t.Error("the queue is readable at the end of the file")
	}
}

func TestClearTellsOnceThatAPipeIsWritable(t *testing.T) {
	q, p := newQueue(t, kqsim.Quirks{}), pipe(t)
	apply(t, q, change(p.Write, kevent.EVFILT_WRITE, kevent.EV_ADD|kevent.EV_CLEAR))
	wantCount(t, q, 1)
	for range 2 {
		wantCount(t, q, 0)
	}
}

// TestChangesAreMadeInTheirOrder: the last of one list is what is left.
func TestChangesAreMadeInTheirOrder(t *testing.T) {
	q, p := newQueue(t, kqsim.Quirks{}), pipe(t)
	p.Send(t, []byte("x"))
	add := change(p.Read, kevent.EVFILT_READ, kevent.EV_ADD|kevent.EV_CLEAR)
	remove := change(p.Read, kevent.EVFILT_READ, kevent.EV_DELETE)
	apply(t, q, add, remove)
	wantCount(t, q, 0)
	level := change(p.Read, kevent.EVFILT_READ, kevent.EV_ADD)
	apply(t, q, add, remove, level) // it has no EV_CLEAR then
	for range 2 {
		wantCount(t, q, 1)
	}
}

// TestTwoCallsForEventsPanicIfThatIsAQuirk, and one that only makes changes does
// not. Which of the two is the second is not known here.
func TestTwoCallsForEventsPanicIfThatIsAQuirk(t *testing.T) {
	q := newQueue(t, kqsim.Quirks{SoleScan: true})
	apply(t, q, change(0, kevent.EVFILT_USER, kevent.EV_ADD)) // a level: both are told
	var panics atomic.Int32
	ask := func(timeout *unix.Timespec) {
		defer func() {
			if recover() != nil {
				panics.Add(1)
			}
		}()
		_, _ = q.Kevent(nil, make([]kevent.Event, 1), timeout)
	}
	var waiting sync.WaitGroup
	waiting.Go(func() { ask(nil) })
	for panics.Load() == 0 { // or hangs for ever
		ask(none)
	}
	apply(t, q, kevent.Event{Filter: kevent.EVFILT_USER, Fflags: kevent.NOTE_TRIGGER})
	waiting.Wait()
}
