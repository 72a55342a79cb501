package reactortest_test

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/reactortest"
)

// recorder watches descriptors and notes what each iteration reports.
type recorder struct {
	*testing.T
	*reactortest.Sim
	got string
}

func newRecorder(t *testing.T) *recorder { return &recorder{T: t, Sim: newSim(t)} }

func (r *recorder) watch(fd int, interest reactor.Ready) *reactor.FDWatcher {
	r.Helper()
	return watch(r.T, r.Sim, fd, interest, func(ready reactor.Ready) {
		r.got += fmt.Sprintf("%d:%s ", fd, reactor.ReadyString(ready))
	})
}

// poll runs one iteration that does not wait.
func (r *recorder) poll(want string) {
	r.Helper()
	r.got = ""
	must(r.T, r.Loop.Poll(0))
	if r.got != want {
		r.Errorf("got %q, want %q", r.got, want)
	}
}

func TestSetReadyIsReportedUntilClear(t *testing.T) {
	r := newRecorder(t)
	r.Poller.SetReady(5, reactor.Read) // before anybody watches
	r.watch(5, reactor.Read)
	for range 3 {
		r.poll("5:read ")
	}
	r.Poller.Clear(5, reactor.Read)
	r.poll("")
}

func TestPulseIsReportedOnceToWhoAsks(t *testing.T) {
	r := newRecorder(t)
	w := r.watch(5, reactor.Write)
	r.Poller.Pulse(5, reactor.Read|reactor.Write)
	r.poll("5:write ")
	r.poll("")
	must(t, w.SetInterest(reactor.Read|reactor.Write))
	r.poll("5:read ")
	r.poll("")
	r.Poller.Pulse(5, reactor.Read)
	r.Poller.Clear(5, reactor.Read)
	r.poll("")
}

func TestPulseBesideALevel(t *testing.T) {
	r := newRecorder(t)
	r.watch(5, reactor.Read|reactor.Write)
	r.Poller.SetReady(5, reactor.Read)
	r.Poller.Pulse(5, reactor.Write)
	r.poll("5:read|write ")
	r.poll("5:read ")
}

func TestOnlyWhatIsAskedForIsReported(t *testing.T) {
	r := newRecorder(t)
	r.watch(5, reactor.Read)
	hangUp := r.watch(6, reactor.HangUp)
	r.Poller.SetReady(5, reactor.Write)
	r.Poller.SetReady(6, reactor.Read|reactor.Write)
	r.poll("")
	r.Poller.SetReady(6, reactor.HangUp)
	r.poll("6:hangup ")
	hangUp.Stop()
	r.poll("")
}

func TestHangUpIsReportedToReaderAndWriter(t *testing.T) {
	r := newRecorder(t)
	r.watch(5, reactor.Read)
	r.watch(6, reactor.Write)
	r.watch(7, reactor.Read|reactor.Write|reactor.HangUp)
	for fd := 5; fd <= 7; fd++ {
		r.Poller.SetReady(fd, reactor.HangUp)
	}
	r.poll("5:read 6:write 7:read|write|hangup ")
}

func TestDescriptorsAreReportedInTheOrderInWhichTheyBecameReady(t *testing.T) {
	r := newRecorder(t)
	for fd := range 4 {
		r.watch(fd, reactor.Read)
	}
	for _, fd := range []int{2, 0, 3, 1} {
		r.Poller.SetReady(fd, reactor.Read)
	}
	r.poll("2:read 0:read 3:read 1:read ")
	r.Poller.Clear(0, reactor.Read)
	r.Poller.SetReady(0, reactor.Read) // the last now
	r.Poller.SetReady(2, reactor.Read) // was ready already
	r.poll("2:read 3:read 1:read 0:read ")
}

func TestReadyDescriptorEndsTheWaitAtOnce(t *testing.T) {
	r := newRecorder(t)
	r.watch(5, reactor.Read)
	r.Poller.SetReady(5, reactor.Read)
	must(t, r.Loop.Poll(time.Hour))
	must(t, r.Loop.Poll(-1))
	if r.got != "5:read 5:read " || r.Clock.Monotonic() != 0 {
		t.Errorf("got %q at %v", r.got, r.Clock.Monotonic())
	}
}

func TestInterestIsWhatTheLoopAsksFor(t *testing.T) {
	r := newRecorder(t)
	want := func(want reactor.Ready) {
		t.Helper()
		if got := r.Poller.Interest(5); got != want {
			t.Errorf("interest is %q, want %q", reactor.ReadyString(got), reactor.ReadyString(want))
		}
	}
	want(0)
	a := r.watch(5, reactor.Read)
	b := r.watch(5, reactor.Write)
	want(reactor.Read | reactor.Write)
	a.Stop()
	want(reactor.Write)
	b.Stop()
	want(0)
}

func TestNumbersBeyondTheRangeAreNoDescriptors(t *testing.T) {
	r := newRecorder(t)
	r.watch(reactortest.MaxFD, reactor.Read)
	_, err := r.Loop.WatchFD(reactortest.MaxFD+1, reactor.Read, func(reactor.Ready) {})
	wantErr(t, err, unix.EBADF)
}

// TestPollerRefusesWhatTheKernelRefuses is the contract beneath the loop.
func TestPollerRefusesWhatTheKernelRefuses(t *testing.T) {
	p := reactortest.NewPoller(reactortest.NewClock())
	must(t, p.Add(5, 1, reactor.Read))
	wantErr(t, p.Add(5, 2, reactor.Read), unix.EEXIST)
	wantErr(t, p.Add(-1, 2, reactor.Read), unix.EBADF)
	wantErr(t, p.Modify(6, 2, reactor.Read), unix.ENOENT)
	wantErr(t, p.Remove(6), unix.ENOENT)
	p.SetReady(5, reactor.Read)
	must(t, p.Modify(5, 7, reactor.Read))
	events, err := p.Wait(0)
	must(t, err)
	if want := (reactor.PollerEvent{FD: 5, Gen: 7, Ready: reactor.Read}); len(events) != 1 || events[0] != want {
		t.Errorf("got %v, want %v", events, want)
	}
	must(t, p.Rebuild())
	wantErr(t, p.Modify(5, 8, reactor.Read), unix.ENOENT)
	must(t, p.Close())
}

func TestWakeEndsOneWait(t *testing.T) {
	clock := reactortest.NewClock()
	p := reactortest.NewPoller(clock)
	for range 3 {
		must(t, p.Wake()) // coalesced
	}
	_, err := p.Wait(-1)
	must(t, err)
	_, err = p.Wait(-1)
	wantErr(t, err, reactortest.ErrDeadlock)
	if clock.Monotonic() != 0 {
		t.Errorf("it is %v", clock.Monotonic())
	}
}

// TestStreamReadsWhenTheTestSaysSo has real pipes and readiness of the test's.
func TestStreamReadsWhenTheTestSaysSo(t *testing.T) {
	sim := newSim(t)
	r, w := fdtest.Pipe(t)
	defer unix.Close(w)
	got, ended := "", false
	s, err := sim.Loop.NewStream(r, -1, reactor.StreamConfig{
		OnData:  func(data []byte) { got += string(data) },
		OnClose: func(err error) { ended = true; must(t, err) },
	})
	must(t, err)
	_, err = unix.Write(w, []byte("hello"))
	must(t, err)
	must(t, sim.Loop.Poll(time.Hour))
	if got != "" {
		t.Errorf("read %q before the test said so", got)
	}
	sim.Poller.Pulse(r, reactor.Read)
	must(t, sim.Loop.Poll(0))
	sim.Poller.Pulse(r, reactor.Read) // spurious: there is nothing to read
	must(t, sim.Loop.Poll(0))
	if got != "hello" || ended {
		t.Errorf("read %q, ended %v", got, ended)
	}
	s.Close()
	sim.Run()
	if !ended {
		t.Error("OnClose was not called")
	}
}
