package kqsim_test

import (
	"encoding/binary"
	"errors"
	"reflect"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/internal/kqsim"
	"github.com/evfork/evfork/internal/poller/kevent"
)

// FuzzChangelists feeds any changes at all to a queue with any quirks at all, and
// compares what is registered with a model of a dozen lines. Each change is six
// bytes: which descriptor, which filter, flags, fflags, and room for how many events.
func FuzzChangelists(f *testing.F) {
	entry := func(target, filter byte, flags kevent.Flags, trigger, room byte) []byte {
		return append([]byte{target, filter}, byte(flags), byte(flags>>8), trigger, room)
	}
	add, del := kevent.Flags(kevent.EV_ADD), kevent.Flags(kevent.EV_DELETE)
	f.Add(uint32(0), entry(0, 0, add, 0, 8))
	f.Add(uint32(1)<<3, append(entry(1, 1, add|kevent.EV_CLEAR, 0, 8), entry(1, 1, del, 0, 0)...))
	f.Add(uint32(1)<<6, append(entry(2, 0, add|kevent.EV_ONESHOT, 0, 1), entry(2, 0, kevent.EV_ENABLE, 0, 1)...))
	f.Add(uint32(1)<<9, append(entry(3, 1, add|kevent.EV_DISPATCH, 0, 2), entry(3, 1, kevent.EV_DISABLE, 0, 0)...))
	f.Add(uint32(1)<<12, append(entry(0, 2, add|kevent.EV_CLEAR, 0, 0), entry(0, 2, 0, 1, 4)...))
	f.Add(uint32(1)<<15, append(entry(4, 3, add, 0, 3), entry(4, 3, del, 0, 3)...))
	f.Add(uint32(1)<<18, append(entry(5, 0, add|kevent.EV_RECEIPT, 0, 1), entry(6, 1, add|kevent.EV_RECEIPT, 0, 0)...))
	f.Add(uint32(1), append(entry(0, 9, add, 0, 1), entry(0, 0, add|del, 0, 1)...))
	f.Add(^uint32(0), append(entry(7, 1, add, 0, 4), entry(7, 0, add|kevent.EV_DISPATCH, 0, 4)...))
	f.Fuzz(func(t *testing.T, draw uint32, input []byte) { fuzzQueue(t, drawn(draw), input) })
}

// drawn are the quirks whose bits are set. An errno takes two bits.
func drawn(bits uint32) (quirks kqsim.Quirks) {
	take := func(n uint32) (i uint32) {
		i = bits % n
		bits /= n
		return i
	}
	errnos := []syscall.Errno{0, unix.EPIPE, unix.EBADF, unix.EPERM}
	fields := reflect.ValueOf(&quirks).Elem()
	for i := range fields.NumField() {
		switch field := fields.Field(i); field.Interface().(type) {
		case bool:
			field.SetBool(take(2) != 0)
		case syscall.Errno:
			field.SetUint(uint64(errnos[take(4)]))
		case int:
			field.SetInt(int64(take(4)))
		default:
			panic("a quirk of a kind that is not drawn: " + fields.Type().Field(i).Name)
		}
	}
	return quirks
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

// fuzzTargets are a pipe's ends, a socket, a pipe end without the other, this
// process, a number without a descriptor, one that is no number of anything, and a
// file.
func fuzzTargets(t *testing.T) []uintptr {
	p, half := pipe(t), pipe(t)
	half.CloseRead()
	fd, peer := fdtest.Socketpair(t)
	t.Cleanup(func() {
		unix.Close(fd)
		unix.Close(peer)
	})
	p.Send(t, []byte("x"))
	file := openFile(t, "/proc/self/exe", unix.O_RDONLY)
	t.Cleanup(func() { unix.Close(file) })
	const gone = 1 << 20 // not one that was closed: the queue itself could be given that
	return []uintptr{uintptr(p.Read), uintptr(p.Write), uintptr(fd), uintptr(half.Write), uintptr(syscall.Getpid()), gone, ^uintptr(0), uintptr(file)}
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
