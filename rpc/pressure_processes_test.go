package rpc_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/rpc"
)

// pressure is a test with three processes: this one, a parent, and its child. Each of
// the latter is stopped or writes as much as it can, and neither may hold more than it is
// allowed to.
type pressure struct {
	Server      string
	Wire        rpc.Wire
	Stops       string // who stops itself: "parent", "child", or nobody
	Total       int    // bytes of payload that are sent in one direction at least
	Limit       int    // MaxBuffered of both sides
	RequestSize int
	Events      int // for each call
	EventSize   int
	ReplySize   int
	File        string // of the gauge
}

func (p pressure) args() []string {
	text, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	return []string{string(text)}
}

// parsePressure is the inverse of args.
func parsePressure(text string) (p pressure) {
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		panic(err)
	}
	return p
}

// answerSize is the payload of the answer to a call.
func (p pressure) answerSize() int { return p.Events*p.EventSize + p.ReplySize }

// timesStopped is how often a process stops itself: at the beginning, and after each third.
const timesStopped = 3

// stopIsDue reports whether a process that has got so many bytes should stop, which it
// has done so often.
func (p pressure) stopIsDue(got, stops int64) bool {
	return stops < timesStopped && got >= stops*int64(p.Total)/timesStopped
}

// slack is what each side may have beyond MaxBuffered: what is in a pipe, in a read, and in
// the hands of handlers.
const slack = 1 << 20

// The test of what a side holds when the other does not read: MaxBuffered, and nothing
// that grows with what there is to be sent, which with EVFORK_TORTURE is a gigabyte
// in each test. It is the accounts that are checked, and the resident memory of
// both processes.

func TestTorturePressureOfBothSides(t *testing.T) {
	eachPressure(t, pressure{RequestSize: 64 << 10, Events: 2, EventSize: 16 << 10, ReplySize: 32 << 10})
}

func TestTorturePressureOnAStoppedParent(t *testing.T) {
	eachPressure(t, pressure{Stops: "parent", RequestSize: 16, Events: 15, EventSize: 64 << 10, ReplySize: 64 << 10})
}

func TestTorturePressureOnAStoppedChild(t *testing.T) {
	eachPressure(t, pressure{Stops: "child", RequestSize: 64 << 10, ReplySize: 16})
}

func eachPressure(t *testing.T, p pressure) {
	p.Limit = 4 << 20
	p.Total = 64 << 20
	wires := []rpc.Wire{rpc.Evfork}
	if os.Getenv("EVFORK_TORTURE") != "" {
		p.Total = 1 << 30
		if raceDetector {
			p.Total = 256 << 20 // it takes several times as long
		}
		wires = append(wires, rpc.AnyEventAsync, rpc.AnyEventSync)
	}
	for _, p.Server = range []string{"sync", "async", "goroutines"} {
		for _, p.Wire = range wires {
			t.Run(p.Server+"/"+p.Wire.String(), func(t *testing.T) { newPressed(t, p).run() })
		}
	}
}

// pressureTest is this process's part: it starts the parent, and looks after it.
type pressureTest struct {
	*fixture
	pressure
	*gauge
	parent *child.Process
	stderr strings.Builder // of both
	ended  bool
	err    error
}

func newPressed(t *testing.T, p pressure) *pressureTest {
	p.File = filepath.Join(t.TempDir(), "gauge")
	g, err := openGauge(p.File)
	must(t, err)
	t.Cleanup(func() { must(t, g.close()) })
	return &pressureTest{fixture: newFixture(t), pressure: p, gauge: g}
}

func (p *pressureTest) run() {
	proc, err := child.Start(p.Loop, child.Config{
		Worker: "presser", Args: p.args(), StartTimeout: -1, OnStderr: func(text []byte) { p.stderr.Write(text) },
	})
	must(p.t, err)
	p.parent = proc
	proc.OnEnd(func(cause error) {
		p.ended = true
		if exit, ok := cause.(*child.ExitError); !ok || !exit.Clean() {
			p.err = cause
		}
	})
	if p.Stops != "" {
		p.Every(0, time.Millisecond, p.goOn).Unref()
	}
	p.watch(-1)
	if err := p.RunUntil(context.Background(), func() bool { return p.ended }); err != nil {
		p.t.Fatal(err)
	}
	if p.err != nil {
		p.t.Fatalf("the parent ended with %v\n%s", p.err, p.stderr.String())
	}
	p.check()
}

// goOn has the process that has stopped itself go on, when the other can do nothing more.
func (p *pressureTest) goOn() {
	stops := p.stops.Load()
	if stops == 0 {
		return
	}
	pid := p.parent.PID()
	if p.Stops == "child" {
		pid = int(p.childPID.Load())
	}
	stopped, told := isStopped(pid)
	if stops == p.continued.Load() {
		if !told { // it may have stopped since
			syscall.Kill(pid, syscall.SIGCONT)
		}
		return // another signal could undo the next stop
	}
	if !stopped {
		return
	}
	p.asked.Store(stops)
	if p.Stops == "parent" && p.stuck.Load() != stops || p.Stops == "child" && !p.parentFull.Load() {
		return
	}
	p.t.Logf("stop %d: %d and %d bytes", stops, p.requestsMost.Load(), p.repliesMost.Load())
	p.continued.Store(stops)
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		p.t.Error(err)
	}
}

// watch ends a test in which nothing has happened for as long as a whole test may take, and
// shows what everybody was doing.
func (p *pressureTest) watch(before int64) {
	now := p.progress()
	if now == before {
		p.t.Errorf("nothing has happened for %v, after %d bytes of requests and %d of answers", guard, p.handled.Load(), p.received.Load())
		p.dump()
		return
	}
	p.AfterFunc(guard, func() { p.watch(now) }).Unref()
}

// dump has child and parent write the stacks of their goroutines, and die: the parent a
// little later, so that it can pass on what the child has written.
func (p *pressureTest) dump() {
	pid := int(p.childPID.Load())
	p.parent.Signal(syscall.SIGCONT)
	if pid != 0 {
		syscall.Kill(pid, syscall.SIGCONT)
		syscall.Kill(pid, syscall.SIGQUIT)
	}
	p.AfterFunc(5*time.Second, func() { p.parent.Signal(syscall.SIGQUIT) })
	p.AfterFunc(10*time.Second, func() { p.parent.Kill() })
}

func (p *pressureTest) check() {
	p.t.Logf("most: %d bytes of requests, %d of answers; queued %d and %d; memory %d and %d", p.requestsMost.Load(), p.repliesMost.Load(),
		p.parentMost.Load(), p.childMost.Load(), p.parentPeak.Load(), p.childPeak.Load())
	if p.Stops != "" && p.stops.Load() != timesStopped {
		p.t.Errorf("a process was stopped %d times", p.stops.Load())
	}
	bound := int64(p.Limit + slack)
	for what, most := range map[string]int64{
		"queued in the parent":          p.parentMost.Load(),
		"queued in the child":           p.childMost.Load(),
		"of answers and not received":   p.repliesMost.Load(),
		"of requests, less the backlog": p.requestsMost.Load() - 1<<20, // docs/protocol.md: it is beyond the limit
	} {
		if most > bound {
			p.t.Errorf("%d bytes were %s, the bound is %d", most, what, bound)
		}
	}
	if raceDetector {
		return // it needs several times as much
	}
	bound = int64(2*p.Limit + 32<<20)
	for who, peak := range map[string]int64{"parent": p.parentPeak.Load(), "child": p.childPeak.Load()} {
		if peak > bound {
			p.t.Errorf("the %s had %d bytes of memory, the bound is %d", who, peak, bound)
		}
	}
}
