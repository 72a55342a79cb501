package rpc_test

import (
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/evfork/evfork/rpc"
)

// strangersFan is a fan-out to clients whose children the test plays, with its Results on a goroutine and the loop on the
// test's.
type strangersFan struct {
	f       *fixture
	clients []*rpc.Client
	files   []*os.File
	calls   []uint32      // of each, that have been answered
	jobs    chan job      // what the sequence yields; closed at its end
	results []int         // the jobs that have one
	over    bool          // Results has ended
	left    chan struct{} // closed when the sequence has ended
	fan     *rpc.FanOut[job, int]
}

func newStrangersFan(f *fixture, n int, config rpc.Config, fan rpc.FanOutConfig, enough func(results int) bool) *strangersFan {
	f.t.Helper()
	s := &strangersFan{f: f, calls: make([]uint32, n), jobs: make(chan job), left: make(chan struct{})}
	for range n {
		transport, file := f.stranger()
		_, err := file.WriteString(hello)
		must(f.t, err)
		s.clients, s.files = append(s.clients, f.client(transport, peer{}, config)), append(s.files, file)
	}
	s.fan = double.FanOut(f.t.Context(), s.clients, func(yield func(job) bool) {
		defer close(s.left)
		for j := range s.jobs {
			if !yield(j) {
				return
			}
		}
	}, fan)
	go func() {
		n := 0
		for r := range s.fan.Results() {
			f.Post(func() {
				must(f.t, r.Err)
				s.results = append(s.results, r.Req.N)
			})
			if n++; enough != nil && enough(n) {
				break
			}
		}
		f.Post(func() { s.over = true })
	}()
	return s
}

// give has the sequence yield jobs, which it takes while there is room.
func (s *strangersFan) give(jobs ...job) {
	s.f.Hold()
	taken := false
	go func() {
		for _, j := range jobs {
			s.jobs <- j
		}
		s.f.Post(func() { taken = true })
	}()
	s.f.until(func() bool { return taken })
}

// numbered are jobs with these numbers.
func numbered(numbers ...int) (jobs []job) {
	for _, n := range numbers {
		jobs = append(jobs, job{N: n})
	}
	return jobs
}

// answer has a child answer its oldest calls.
func (s *strangersFan) answer(child, calls int) {
	for range calls {
		s.calls[child]++
		_, err := s.files[child].WriteString(frame(s.calls[child], "\x010"))
		must(s.f.t, err)
	}
}

// inFlight runs the loop until each client has so many calls.
func (s *strangersFan) inFlight(each int) {
	s.f.t.Helper()
	s.f.until(func() bool {
		for _, c := range s.clients {
			if c.InFlight() != each {
				return false
			}
		}
		return true
	})
}

// end ends the sequence and waits for the end of Results, with so many results.
func (s *strangersFan) end(results int) {
	s.f.t.Helper()
	close(s.jobs)
	s.f.until(func() bool { return s.over })
	must(s.f.t, s.fan.Err())
	if len(s.results) != results {
		s.f.t.Errorf("there are %d results, of %v", len(s.results), s.results)
	}
}

// Workers are given jobs in turn, also when they have had room all the time.
func TestFanOutGoesRound(t *testing.T) {
	s := newStrangersFan(newFixture(t), 3, rpc.Config{}, rpc.FanOutConfig{Window: 4}, nil)
	s.give(numbered(1, 2, 3)...)
	s.inFlight(1)
	for child := range s.clients {
		s.answer(child, 1)
	}
	s.inFlight(0)
	s.give(numbered(4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)...)
	s.inFlight(4)
	for child := range s.clients {
		s.answer(child, 4)
	}
	s.inFlight(0)
	s.end(15)
}

// A job that waits for room in a client keeps its place before those that come.
func TestFanOutsWaitingJobIsFollowedByOthers(t *testing.T) {
	s := newStrangersFan(newFixture(t), 1, rpc.Config{MaxInFlight: 1}, rpc.FanOutConfig{Window: 4}, nil)
	s.give(numbered(1, 2)...)
	s.f.until(func() bool { return rpc.AnyWaiting(s.clients[0]) })
	s.give(numbered(3, 4)...)
	for range 4 {
		s.inFlight(1)
		answered := len(s.results) + 1
		s.answer(0, 1)
		s.f.until(func() bool { return len(s.results) == answered })
	}
	s.end(4)
}

// A sequence that waits for room hears of it when Results is left.
func TestFanOutThatIsLeftEndsASequenceThatWaitsForRoom(t *testing.T) {
	full := make(chan struct{})
	s := newStrangersFan(newFixture(t), 1, rpc.Config{}, rpc.FanOutConfig{Window: 2}, func(int) bool { <-full; return true })
	s.give(numbered(1, 2)...)
	s.inFlight(2)
	s.answer(0, 1)
	s.give(numbered(3)...)
	s.inFlight(2) // so that there is no room for a fourth
	close(full)
	s.f.until(func() bool { return s.over })
	<-s.left
}

// A job that comes back from a client that is gone waits for room before those that come after it.
func TestFanOutsJobThatComesBackIsFollowedByOthers(t *testing.T) {
	s := newStrangersFan(newFixture(t), 3, rpc.Config{MaxInFlight: 2}, rpc.FanOutConfig{Window: 2}, nil)
	for range 2 {
		must(t, s.clients[2].GoBytes(nil, nil)) // so that the fan-out has to wait for it
	}
	s.give(job{N: 1}, job{N: 2, Pad: strings.Repeat("x", 4<<20)}, job{N: 3}) // the second is more than the socket takes
	s.f.until(func() bool { return s.clients[0].InFlight() == 2 })
	must(t, s.files[1].Close())
	s.f.until(func() bool { return s.clients[1].InFlight() == 0 })
	s.give(job{N: 4})
	s.f.until(func() bool { return rpc.JobsQueued(s.fan) == 2 })
	for n := range 4 {
		s.answer(0, 1)
		s.f.until(func() bool { return len(s.results) == n+1 })
	}
	s.end(4)
}

// With a client that is gone, the jobs that it would have room for are not taken.
func TestFanOutTakesNoJobsForALostClient(t *testing.T) {
	var w watched
	s := newStrangersFan(newFixture(t), 2, w.config(rpc.Config{}), rpc.FanOutConfig{Window: 2}, nil)
	must(t, s.files[1].Close())
	s.f.until(w.ended)
	s.give(numbered(1, 2)...)
	s.f.until(func() bool { return s.clients[0].InFlight() == 2 })
	var taken atomic.Int32
	go func() {
		for n := range 4 {
			s.jobs <- job{N: 3 + n}
			taken.Add(1)
		}
	}()
	for range 1000 { // which the sequence could go on in
		runtime.Gosched()
		must(t, s.f.Poll(0))
	}
	if n := taken.Load(); n > 1 { // the sequence was asked for one when there was room
		t.Errorf("%d jobs were taken without room", n)
	}
	for n := range 6 {
		s.f.until(func() bool { return s.clients[0].InFlight() > 0 })
		s.answer(0, 1)
		s.f.until(func() bool { return len(s.results) == n+1 })
	}
	s.end(6)
}
