package kqsim_test

import (
	"os/exec"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/internal/kqsim"
	"github.com/evfork/evfork/internal/leaktest"
	"github.com/evfork/evfork/internal/poller/kevent"
)

// These are kqueue(2)'s rules that the poller builds on, one by one.

var none = &unix.Timespec{}

func newQueue(t testing.TB, quirks kqsim.Quirks) *kqsim.Queue {
	t.Helper()
	leaktest.Check(t)
	return openQueue(t, quirks)
}

func openQueue(t testing.TB, quirks kqsim.Quirks) *kqsim.Queue {
	t.Helper()
	q, err := kqsim.New(quirks)
	must(t, err)
	t.Cleanup(func() {
		must(t, q.Verify())
		must(t, q.Close())
	})
	return q
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func pipe(t testing.TB) *fdtest.End {
	t.Helper()
	r, w := fdtest.Pipe(t)
	p := &fdtest.End{Read: r, Write: w}
	t.Cleanup(p.Close)
	return p
}

// change is one entry of a changelist.
func change(ident int, filter kevent.Filter, flags kevent.Flags) kevent.Event {
	ev := kevent.Event{Ident: uintptr(ident), Filter: filter, Flags: flags}
	ev.Udata[0] = 7
	return ev
}

// apply makes changes that must be taken.
func apply(t testing.TB, q *kqsim.Queue, changes ...kevent.Event) {
	t.Helper()
	_, err := q.Kevent(changes, nil, none)
	must(t, err)
}

// ask returns what is reported now.
func ask(t testing.TB, q *kqsim.Queue) []kevent.Event {
	t.Helper()
	var room [8]kevent.Event
	n, err := q.Kevent(nil, room[:], none)
	must(t, err)
	return room[:n]
}

// await waits for reports. A signal ends a wait: that of a child's exit, or the runtime's own.
func await(t testing.TB, q *kqsim.Queue) []kevent.Event {
	t.Helper()
	var room [8]kevent.Event
	for {
		n, err := q.Kevent(nil, room[:], nil)
		if err == unix.EINTR {
			continue
		}
		must(t, err)
		return room[:n]
	}
}

// wantCount checks how many reports there are, and returns them.
func wantCount(t testing.TB, q *kqsim.Queue, count int) []kevent.Event {
	t.Helper()
	got := ask(t, q)
	if len(got) != count {
		t.Fatalf("got %v, want %d reports", got, count)
	}
	return got
}

func TestLevelIsReportedAgain(t *testing.T) {
	q, p := newQueue(t, kqsim.Quirks{}), pipe(t)
	apply(t, q, change(p.Read, kevent.EVFILT_READ, kevent.EV_ADD))
	wantCount(t, q, 0)
	p.Send(t, []byte("abc"))
	for range 2 {
		if ev := wantCount(t, q, 1)[0]; ev.Data != 3 || ev.Udata[0] != 7 || ev.Flags&kevent.EV_EOF != 0 {
			t.Errorf("got %+v, want 3 bytes without EOF for 7", ev)
		}
	}
}

func TestClearIsReportedOncePerActivity(t *testing.T) {
	q, p := newQueue(t, kqsim.Quirks{}), pipe(t)
	apply(t, q, change(p.Read, kevent.EVFILT_READ, kevent.EV_ADD|kevent.EV_CLEAR))
	for range 2 {
		p.Send(t, []byte("x"))
		wantCount(t, q, 1)
		wantCount(t, q, 0)
	}
	// Added over itself it keeps EV_CLEAR, and is reported for what there is.
	apply(t, q, change(p.Read, kevent.EVFILT_READ, kevent.EV_ADD))
	wantCount(t, q, 1)
	wantCount(t, q, 0)
}

func TestOneshotIsDeletedByItsReport(t *testing.T) {
	q, p := newQueue(t, kqsim.Quirks{}), pipe(t)
	p.Send(t, []byte("x"))
	apply(t, q, change(p.Read, kevent.EVFILT_READ, kevent.EV_ADD|kevent.EV_ONESHOT))
	wantCount(t, q, 1)
	wantCount(t, q, 0)
	if _, err := q.Kevent([]kevent.Event{change(p.Read, kevent.EVFILT_READ, kevent.EV_ENABLE)}, nil, none); err != unix.ENOENT {
		t.Errorf("enabling it: got %v, want ENOENT", err)
	}
}

func TestDispatchIsDisabledByItsReport(t *testing.T) {
	q, p := newQueue(t, kqsim.Quirks{}), pipe(t)
	p.Send(t, []byte("x"))
	apply(t, q, change(p.Read, kevent.EVFILT_READ, kevent.EV_ADD|kevent.EV_DISPATCH))
	for range 2 {
		wantCount(t, q, 1)
		wantCount(t, q, 0)
		apply(t, q, change(p.Read, kevent.EVFILT_READ, kevent.EV_ENABLE))
	}
}

func TestDisabledFilterIsSilentUntilEnabled(t *testing.T) {
	for _, stays := range []bool{false, true} {
		q, p := newQueue(t, kqsim.Quirks{DisabledStays: stays}), pipe(t)
		p.Send(t, []byte("x"))
		apply(t, q, change(p.Read, kevent.EVFILT_READ, kevent.EV_ADD|kevent.EV_DISABLE))
		wantCount(t, q, 0)
		apply(t, q, change(p.Read, kevent.EVFILT_READ, kevent.EV_ADD))
		if stays {
			wantCount(t, q, 0)
			apply(t, q, change(p.Read, kevent.EVFILT_READ, kevent.EV_ADD|kevent.EV_ENABLE))
		}
		wantCount(t, q, 1)
		apply(t, q, change(p.Read, kevent.EVFILT_READ, kevent.EV_ADD))
		wantCount(t, q, map[bool]int{false: 1, true: 0}[stays])
	}
}

// TestErrorsOfChanges: events as long as there is room, then the call's own, and
// nothing behind that one is done.
func TestErrorsOfChanges(t *testing.T) {
	q, p := newQueue(t, kqsim.Quirks{}), pipe(t)
	p.Send(t, []byte("x"))
	list := []kevent.Event{
		change(p.Read, kevent.EVFILT_WRITE, kevent.EV_DELETE),
		change(1<<20, kevent.EVFILT_READ, kevent.EV_ADD),
		change(p.Read, kevent.EVFILT_READ, kevent.EV_ADD),
	}
	room := make([]kevent.Event, 4)
	n, err := q.Kevent(list, room, nil) // and does not wait
	must(t, err)
	if n != 2 || room[0].Data != int64(unix.ENOENT) || room[1].Data != int64(unix.EBADF) || room[1].Ident != 1<<20 || room[0].Flags&kevent.EV_ERROR == 0 {
		t.Errorf("got %+v", room[:n])
	}
	wantCount(t, q, 1) // the last was done
	apply(t, q, change(p.Read, kevent.EVFILT_READ, kevent.EV_DELETE))
	if n, err := q.Kevent(list, room[:1], nil); err != unix.EBADF {
		t.Errorf("with room for one: got %d and %v, want EBADF", n, err)
	}
	wantCount(t, q, 0) // the last was not done
}

func TestReceiptAnswersEveryChange(t *testing.T) {
	for _, ignored := range []bool{false, true} {
		q, p := newQueue(t, kqsim.Quirks{NoReceipt: ignored}), pipe(t)
		p.Send(t, []byte("x"))
		room := make([]kevent.Event, 4)
		n, err := q.Kevent([]kevent.Event{change(p.Read, kevent.EVFILT_READ, kevent.EV_ADD|kevent.EV_RECEIPT)}, room, none)
		must(t, err)
		isReceipt := room[0].Flags&kevent.EV_ERROR != 0 && room[0].Data == 0
		if n != 1 || isReceipt == ignored {
			t.Errorf("ignored %v: got %+v", ignored, room[:n])
		}
	}
}

func TestWithoutRoomNothingIsWaitedFor(t *testing.T) {
	q := newQueue(t, kqsim.Quirks{})
	if n, err := q.Kevent(nil, nil, nil); n != 0 || err != nil { // or hangs for ever
		t.Errorf("got %d, %v", n, err)
	}
}

// TestCloseDeletesFilters even if a duplicate lives on, which epoll would watch.
func TestCloseDeletesFilters(t *testing.T) {
	q, p := newQueue(t, kqsim.Quirks{}), pipe(t)
	dup := fdtest.Dup(t, p.Read)
	defer unix.Close(dup)
	apply(t, q, change(p.Read, kevent.EVFILT_READ, kevent.EV_ADD))
	p.CloseRead()
	p.Send(t, []byte("x"))
	wantCount(t, q, 0)
	if fdtest.Readable(t, q.FD()) {
		t.Error("what the duplicate keeps makes the queue readable")
	}
}

func TestUserFilterIsTriggeredByAnybody(t *testing.T) {
	q := newQueue(t, kqsim.Quirks{})
	trigger := kevent.Event{Filter: kevent.EVFILT_USER, Fflags: kevent.NOTE_TRIGGER}
	if _, err := q.Kevent([]kevent.Event{trigger}, nil, none); err != unix.ENOENT {
		t.Errorf("before it is there: got %v, want ENOENT", err)
	}
	apply(t, q, change(0, kevent.EVFILT_USER, kevent.EV_ADD|kevent.EV_CLEAR))
	wantCount(t, q, 0)
	go q.Kevent([]kevent.Event{trigger}, nil, none)
	got := await(t, q)
	if len(got) != 1 || got[0].Filter != kevent.EVFILT_USER {
		t.Errorf("got %+v", got)
	}
	wantCount(t, q, 0)
}

// TestEndOfAPipeIsToldByTheFiltersThatTheQuirksName has the read end close.
func TestEndOfAPipeIsToldByTheFiltersThatTheQuirksName(t *testing.T) {
	for _, c := range []struct {
		quirks kqsim.Quirks
		want   []kevent.Filter
	}{
		{kqsim.Quirks{}, []kevent.Filter{kevent.EVFILT_READ, kevent.EVFILT_WRITE}},
		{kqsim.Quirks{DeadReaderIsRead: true}, []kevent.Filter{kevent.EVFILT_READ}},
		{kqsim.Quirks{DeadReaderIsWrite: true}, []kevent.Filter{kevent.EVFILT_WRITE}},
	} {
		q, p := newQueue(t, c.quirks), pipe(t)
		for p.Offer(t, make([]byte, 64<<10)) > 0 {
		}
		apply(t, q, change(p.Write, kevent.EVFILT_READ, kevent.EV_ADD), change(p.Write, kevent.EVFILT_WRITE, kevent.EV_ADD))
		wantCount(t, q, 0)
		p.CloseRead()
		var told []kevent.Filter
		for _, ev := range wantCount(t, q, len(c.want)) {
			if ev.Flags&kevent.EV_EOF == 0 {
				t.Errorf("%+v without EV_EOF", ev)
			}
			told = append(told, ev.Filter)
		}
		slices.Sort(told)
		slices.Sort(c.want)
		if !slices.Equal(told, c.want) {
			t.Errorf("%+v: filters %v told, want %v", c.quirks, told, c.want)
		}
	}
}

func TestDeadPipeRefusesAWriteFilter(t *testing.T) {
	for _, errno := range []unix.Errno{unix.EPIPE, unix.EBADF, unix.EPERM} {
		q, p := newQueue(t, kqsim.Quirks{DeadPipe: errno}), pipe(t)
		p.CloseRead()
		if _, err := q.Kevent([]kevent.Event{change(p.Write, kevent.EVFILT_WRITE, kevent.EV_ADD)}, nil, none); err != errno {
			t.Errorf("got %v, want %v", err, errno)
		}
	}
}

// TestShutdownOfOneDirectionIsAnEOF of that direction's filter, and no more.
func TestShutdownOfOneDirectionIsAnEOF(t *testing.T) {
	q := newQueue(t, kqsim.Quirks{})
	fd, peer := fdtest.Socketpair(t)
	defer unix.Close(fd)
	defer unix.Close(peer)
	apply(t, q, change(fd, kevent.EVFILT_READ, kevent.EV_ADD), change(fd, kevent.EVFILT_WRITE, kevent.EV_ADD))
	eof := func() (filters []kevent.Filter) {
		for _, ev := range ask(t, q) {
			if ev.Flags&kevent.EV_EOF != 0 {
				filters = append(filters, ev.Filter)
			}
		}
		return filters
	}
	if got := eof(); len(got) != 0 {
		t.Errorf("before: EOF of %v", got)
	}
	must(t, unix.Shutdown(fd, unix.SHUT_WR))
	if got := eof(); len(got) != 1 || got[0] != kevent.EVFILT_WRITE || q.Disconnected(fd) {
		t.Errorf("after our shutdown: EOF of %v, disconnected %v", got, q.Disconnected(fd))
	}
	must(t, unix.Shutdown(peer, unix.SHUT_WR))
	if got := eof(); len(got) != 2 {
		t.Errorf("after both: EOF of %v", got)
	}
}

func TestExitIsReportedOnceAndNotReaped(t *testing.T) {
	for _, zombie := range []bool{false, true} {
		q := newQueue(t, kqsim.Quirks{ZombieESRCH: zombie})
		cmd := exec.Command("cat")
		stdin, err := cmd.StdinPipe()
		must(t, err)
		must(t, cmd.Start())
		watch := change(cmd.Process.Pid, kevent.EVFILT_PROC, kevent.EV_ADD)
		watch.Fflags = kevent.NOTE_EXIT
		apply(t, q, watch)
		wantCount(t, q, 0)
		must(t, stdin.Close())
		got := await(t, q)
		if len(got) != 1 || got[0].Ident != uintptr(cmd.Process.Pid) || got[0].Fflags&kevent.NOTE_EXIT == 0 {
			t.Errorf("got %+v", got)
		}
		_, err = q.Kevent([]kevent.Event{watch}, nil, none)
		if zombie && err != unix.ESRCH || !zombie && err != nil {
			t.Errorf("registering a zombie: %v", err)
		}
		wantCount(t, q, map[bool]int{false: 1, true: 0}[zombie])
		must(t, cmd.Wait())
	}
}

func TestInterruptedCallHasMadeItsChanges(t *testing.T) {
	q, p := newQueue(t, kqsim.Quirks{InterruptEvery: 1}), pipe(t)
	room := make([]kevent.Event, 2)
	if n, err := q.Kevent([]kevent.Event{change(p.Read, kevent.EVFILT_READ, kevent.EV_ADD)}, room, nil); err != unix.EINTR {
		t.Fatalf("got %d and %v, want EINTR", n, err)
	}
	p.Send(t, []byte("x"))
	wantCount(t, q, 1)
}

func TestTimeoutOutOfRangeIsRefused(t *testing.T) {
	q := newQueue(t, kqsim.Quirks{LongTimeout: true})
	for _, sec := range []int64{-1, 200_000_000} {
		ts := unix.NsecToTimespec(sec * 1e9)
		if _, err := q.Kevent(nil, make([]kevent.Event, 1), &ts); err != unix.EINVAL {
			t.Errorf("%d s: got %v, want EINVAL", sec, err)
		}
	}
}
