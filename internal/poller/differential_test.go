package poller_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/internal/leaktest"
	"github.com/evfork/evfork/internal/poller"
)

// The differential test does random things to pipes and sockets, and registers
// them at random, with every poller at the same time. All must report the same.
// poll(2) is the oracle: it keeps nothing that could be wrong. EVFORK_TORTURE=1m
// repeats it with new seeds for that long; EVFORK_TORTURE_SEED=n repeats one.

func TestTortureAllPollersReportTheSame(t *testing.T) {
	duration, _ := time.ParseDuration(os.Getenv("EVFORK_TORTURE"))
	seed := uint64(time.Now().UnixNano())
	if s, err := strconv.ParseUint(os.Getenv("EVFORK_TORTURE_SEED"), 10, 64); err == nil {
		seed = s
	}
	for end := time.Now().Add(duration); ; seed++ {
		t.Run(fmt.Sprintf("EVFORK_TORTURE_SEED=%d", seed), func(t *testing.T) {
			leaktest.Check(t)
			newDifferential(t, seed).run(2000)
		})
		if t.Failed() || !time.Now().Before(end) {
			return
		}
	}
}

// differential is one round: the pollers, and one end of each of some connections.
type differential struct {
	t       *testing.T
	rnd     *rand.Rand
	names   []string
	pollers []poller.Poller // [0] is the oracle
	ends    []*compared
	gen     uint32
	done    []string // what has been done, for the report
}

// compared is one descriptor that all pollers watch, or none.
type compared struct {
	fd, peer int
	readEnd  bool // of a pipe
	writeEnd bool // of a pipe
	gen      uint32
	interest poller.Interest // 0: not registered
}

func newDifferential(t *testing.T, seed uint64) *differential {
	d := &differential{t: t, rnd: rand.New(rand.NewPCG(seed, 0))}
	for _, c := range append([]constructor{{"poll", func() (poller.Poller, error) { return poller.Open("poll") }}}, constructors()...) {
		if c.name == pollOfDarwin {
			continue // it may report too much of a half-closed socket, and too little where only the hang-up is asked
		}
		d.names = append(d.names, c.name)
		d.pollers = append(d.pollers, open(t, c))
	}
	for range 8 {
		d.ends = append(d.ends, d.connect())
	}
	t.Cleanup(func() {
		for _, e := range d.ends {
			d.closeEnd(e)
			d.closePeer(e)
		}
	})
	return d
}

func (d *differential) connect() *compared {
	e := &compared{}
	switch d.rnd.IntN(3) {
	case 0:
		e.fd, e.peer = fdtest.Pipe(d.t)
		e.readEnd = true
	case 1:
		e.peer, e.fd = fdtest.Pipe(d.t)
		e.writeEnd = true
	default:
		e.fd, e.peer = fdtest.Socketpair(d.t)
	}
	return e
}

func (d *differential) run(steps int) {
	for range steps {
		d.step(d.rnd.IntN(len(d.ends)))
		if d.rnd.IntN(3) == 0 {
			d.compare()
		}
		if d.t.Failed() {
			d.t.Logf("the last steps were %q", d.done[max(0, len(d.done)-30):])
			return
		}
	}
}

// note records a step.
func (d *differential) note(format string, args ...any) {
	d.done = append(d.done, fmt.Sprintf(format, args...))
}

func (d *differential) step(i int) {
	e := d.ends[i]
	switch d.rnd.IntN(12) {
	case 0, 1:
		d.register(e)
	case 2, 3:
		d.modify(e)
	case 4:
		d.remove(e)
	case 5, 6, 7:
		d.transfer(e)
	case 8:
		d.fill(e)
	case 9:
		d.shutdown(e)
	case 10:
		d.note("peer of %d closes", e.fd)
		d.closePeer(e)
	default:
		if d.rnd.IntN(4) == 0 {
			d.closeEnd(e)
			d.closePeer(e)
			d.ends[i] = d.connect()
			d.note("closed; now there is %d", d.ends[i].fd)
		}
	}
}

func (d *differential) each(op string, call func(p poller.Poller) error) {
	for i, p := range d.pollers {
		if err := call(p); err != nil {
			d.t.Errorf("%s with %s: %v", op, d.names[i], err)
		}
	}
}

// anyInterest is one that makes sense: nobody waits to read from a write end, and a
// kqueue whose pipes go one way would have no filter that tells of its end then.
func (d *differential) anyInterest(e *compared) poller.Interest {
	for {
		if interest := poller.Interest(1 + d.rnd.IntN(7)); !e.writeEnd || interest&poller.Read == 0 {
			return interest
		}
	}
}

func (d *differential) register(e *compared) {
	if e.interest != 0 {
		return
	}
	d.gen++
	e.gen, e.interest = d.gen, d.anyInterest(e)
	d.note("add %d for %d", e.fd, e.interest)
	d.each("add", func(p poller.Poller) error { return p.Add(e.fd, e.gen, e.interest) })
}

func (d *differential) modify(e *compared) {
	if e.interest == 0 {
		return
	}
	e.interest = d.anyInterest(e)
	d.note("modify %d for %d", e.fd, e.interest)
	d.each("modify", func(p poller.Poller) error { return p.Modify(e.fd, e.gen, e.interest) })
}

func (d *differential) remove(e *compared) {
	if e.interest == 0 {
		return
	}
	e.interest = 0
	d.note("remove %d", e.fd)
	d.each("remove", func(p poller.Poller) error { return p.Remove(e.fd) })
}

// transfer moves a few bytes in some direction, if that can be done.
func (d *differential) transfer(e *compared) {
	buf := make([]byte, 1+d.rnd.IntN(5000))
	from, to := e.fd, e.peer
	if d.rnd.IntN(2) == 0 {
		from, to = to, from
	}
	d.note("%d bytes from %d to %d", len(buf), from, to)
	if from >= 0 {
		_, _ = unix.Write(from, buf)
	}
	if to >= 0 && d.rnd.IntN(2) == 0 {
		_, _ = unix.Read(to, buf)
	}
}

// fill writes until the kernel takes no more.
func (d *differential) fill(e *compared) {
	d.note("fill %d", e.fd)
	for n := 1; n > 0; {
		n, _ = unix.Write(e.fd, make([]byte, 64<<10))
	}
}

func (d *differential) shutdown(e *compared) {
	if e.readEnd || e.writeEnd || e.peer < 0 {
		return
	}
	fd := []int{e.fd, e.peer}[d.rnd.IntN(2)]
	how := []int{unix.SHUT_WR, unix.SHUT_RD}[d.rnd.IntN(2)]
	d.note("shutdown %d, %d", fd, how)
	_ = unix.Shutdown(fd, how)
}

func (d *differential) closePeer(e *compared) {
	if e.peer >= 0 {
		unix.Close(e.peer)
		e.peer = -1
	}
}

func (d *differential) closeEnd(e *compared) {
	d.remove(e)
	unix.Close(e.fd)
}

// compare asks everybody. An event that was not asked for is nobody's business:
// what counts is the interest that is met, and the hang-up of whoever asked.
func (d *differential) compare() {
	want := d.readiness(0)
	for i := 1; i < len(d.pollers); i++ {
		got := d.readiness(i)
		for _, e := range d.ends {
			if e.interest != 0 && got[e.fd] != want[e.fd] {
				d.t.Errorf("%s says that fd %d (asked for %d) is %d, %s says %d",
					d.names[i], e.fd, e.interest, got[e.fd], d.names[0], want[e.fd])
			}
		}
	}
}

func (d *differential) readiness(i int) map[int]poller.Interest {
	events, err := d.pollers[i].Wait(0)
	must(d.t, err)
	ready := make(map[int]poller.Interest)
	for _, ev := range events {
		for _, e := range d.ends {
			if int32(e.fd) != ev.FD {
				continue
			}
			if e.interest == 0 || e.gen != ev.Gen {
				d.t.Errorf("%s reports %v for fd %d, generation %d, interest %d", d.names[i], ev, e.fd, e.gen, e.interest)
			}
			if ready[e.fd] != 0 {
				d.t.Errorf("%s reports fd %d twice", d.names[i], e.fd)
			}
			ready[e.fd] = ev.Ready & (e.interest | poller.HangUp)
		}
	}
	return ready
}
