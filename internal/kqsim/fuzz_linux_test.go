package kqsim_test

import (
	"encoding/binary"
	"errors"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/internal/kqsim"
	"github.com/evfork/evfork/internal/poller/kevent"
)

// FuzzChangelists feeds any changes at all to a queue, and compares what is
// registered with a model of a dozen lines. Each change is six bytes: which
// descriptor, which filter, flags, fflags, and room for how many events.
func FuzzChangelists(f *testing.F) {
	entry := func(target, filter byte, flags kevent.Flags, trigger, room byte) []byte {
		return append([]byte{target, filter}, byte(flags), byte(flags>>8), trigger, room)
	}
	add, del := kevent.Flags(kevent.EV_ADD), kevent.Flags(kevent.EV_DELETE)
	f.Add(byte(0), entry(0, 0, add, 0, 8))
	f.Add(byte(1), append(entry(1, 1, add|kevent.EV_CLEAR, 0, 8), entry(1, 1, del, 0, 0)...))
	f.Add(byte(2), append(entry(2, 0, add|kevent.EV_ONESHOT, 0, 1), entry(2, 0, kevent.EV_ENABLE, 0, 1)...))
	f.Add(byte(3), append(entry(3, 1, add|kevent.EV_DISPATCH, 0, 2), entry(3, 1, kevent.EV_DISABLE, 0, 0)...))
	f.Add(byte(4), append(entry(0, 2, add|kevent.EV_CLEAR, 0, 0), entry(0, 2, 0, 1, 4)...))
	f.Add(byte(5), append(entry(4, 3, add, 0, 3), entry(4, 3, del, 0, 3)...))
	f.Add(byte(6), append(entry(5, 0, add|kevent.EV_RECEIPT, 0, 1), entry(6, 1, add|kevent.EV_RECEIPT, 0, 0)...))
	f.Add(byte(0), append(entry(0, 9, add, 0, 1), entry(0, 0, add|del, 0, 1)...))
	f.Fuzz(func(t *testing.T, system byte, input []byte) {
		quirks := []kqsim.Quirks{{}}
		for _, name := range []string{"darwin", "freebsd", "netbsd9", "openbsd", "one-way", "all"} {
			quirks = append(quirks, kqsim.Presets()[name])
		}
		fuzzQueue(t, quirks[int(system)%len(quirks)], input)
	})
}

// model is what must be registered, by what was answered.
type model map[[2]uintptr]bool

func fuzzQueue(t *testing.T, quirks kqsim.Quirks, input []byte) {
	q := openQueue(t, quirks) // a check for leaks would be nearly all of the time
	targets := fuzzTargets(t)
	registered := make(model)
	for len(input) >= 6 {
		c := kevent.Event{
			Ident:  targets[int(input[0])%len(targets)],
			Filter: []kevent.Filter{kevent.EVFILT_READ, kevent.EVFILT_WRITE, kevent.EVFILT_USER, kevent.EVFILT_PROC, -99}[int(input[1])%5],
			Flags:  kevent.Flags(binary.LittleEndian.Uint16(input[2:])),
			Fflags: uint32(input[4]&1) * kevent.NOTE_TRIGGER,
		}
		room := make([]kevent.Event, input[5]%9)
		input = input[6:]
		n, err := q.Kevent([]kevent.Event{c}, room, none)
		check(t, registered, c, room, n, err)
		must(t, q.Verify())
	}
}

// fuzzTargets are a pipe's ends, a socket, a pipe end without the other, a number
// without a descriptor, this process, and one that is no number of anything.
func fuzzTargets(t *testing.T) []uintptr {
	p, half := pipe(t), pipe(t)
	half.CloseRead()
	fd, peer := fdtest.Socketpair(t)
	t.Cleanup(func() {
		unix.Close(fd)
		unix.Close(peer)
	})
	p.Send(t, []byte("x"))
	closed := pipe(t)
	gone := closed.Read
	closed.CloseRead()
	return []uintptr{uintptr(p.Read), uintptr(p.Write), uintptr(fd), uintptr(half.Write), uintptr(syscall.Getpid()), uintptr(gone), ^uintptr(0)}
}

func check(t *testing.T, registered model, c kevent.Event, room []kevent.Event, n int, err error) {
	k := [2]uintptr{uintptr(uint16(c.Filter)), c.Ident}
	if n < 0 || n > len(room) {
		t.Fatalf("%d events in room for %d", n, len(room))
	}
	if errors.Is(err, unix.EINTR) {
		err = nil // the change was made
	}
	failed := err != nil
	for _, ev := range room[:n] {
		if ev.Flags&kevent.EV_ERROR != 0 {
			if ev.Ident != c.Ident || ev.Filter != c.Filter {
				t.Fatalf("%+v: the error %+v is another change's", c, ev)
			}
			failed = failed || ev.Data != 0
		}
	}
	if failed && err == nil && len(room) == 0 {
		t.Fatalf("%+v: an error without room is the call's own", c)
	}
	switch {
	case failed:
	case c.Flags&kevent.EV_DELETE != 0:
		delete(registered, k)
	case c.Flags&kevent.EV_ADD != 0:
		registered[k] = true
	case !registered[k]:
		t.Fatalf("%+v was taken though nothing is registered", c)
	}
	for _, ev := range room[:n] {
		if ev.Flags&kevent.EV_ERROR != 0 {
			continue
		}
		key := [2]uintptr{uintptr(uint16(ev.Filter)), ev.Ident}
		if !registered[key] {
			t.Fatalf("%+v is reported though it is not registered", ev)
		}
		if ev.Flags&kevent.EV_ONESHOT != 0 {
			delete(registered, key)
		}
	}
}
