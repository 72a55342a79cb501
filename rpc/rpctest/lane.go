package rpctest

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/evfork/evfork/reactor"
)

// pieceDefault is how much is passed on at once unless Faults.Piece says less.
const pieceDefault = 64 << 10

// lane is one direction of a Transport. What it reads from and writes to are
// funcs: a pipe that is read to the byte, or a stream.
type lane struct {
	loop   *reactor.Loop
	faults Faults
	list   []Fault // those that have not happened
	random *rand.Rand

	fetch     func(most int) (p []byte, eof bool) // what has come, at most so much; p is valid until the next call
	ready     func() bool                         // there may be more, and nothing else will tell
	watch     func(on bool)                       // whether to read
	pass      func(p []byte)                      // writes, at once
	congested func() bool
	half      func()        // tells the reader that this was all, and the writer that nobody reads
	die       func(f Fault) // Kill, Exit
	changed   func()        // something was passed on, or the lane has ended

	taken  int64  // bytes of the sender's that were passed on or dropped
	drop   int    // bytes that are to be dropped
	recent []byte // of those passed on, for Repeat

	started  bool
	ended    bool           // nothing is passed on any more, for good
	stalled  bool           // Stall
	held     bool           // Suspend
	waiting  *reactor.Timer // Delay
	due      bool           // it has passed
	posted   bool
	pumping  bool
	watching bool
}

// start begins, with the faults before the first byte.
func (l *lane) start() {
	l.started = true
	l.happen()
	l.update()
}

// end ends the lane where it is.
func (l *lane) end() {
	l.ended = true
	if l.waiting != nil {
		l.waiting.Stop()
		l.waiting = nil
	}
	l.update()
}

// open reports whether bytes may be passed on now.
func (l *lane) open() bool {
	return l.started && !l.ended && !l.stalled && !l.held && l.waiting == nil
}

// pump passes one piece on.
func (l *lane) pump() {
	if l.pumping || !l.open() || l.congested() {
		return
	}
	if l.delayed() {
		l.update()
		return
	}
	l.pumping = true
	p, eof := l.fetch(l.room())
	if len(p) > 0 {
		l.advance(p)
	}
	if eof && !l.ended {
		l.ended = true
		l.half()
	}
	l.pumping = false
	l.update()
	l.changed()
}

// update has the lane called again when there is something for it to do.
func (l *lane) update() {
	want := l.open() && !l.congested()
	if want != l.watching {
		l.watching = want
		l.watch(want)
	}
	if want && !l.posted && l.ready() {
		// An error is that of a closed loop, which ends everything.
		l.posted = l.loop.Post(func() {
			l.posted = false
			l.pump()
		}) == nil
	}
}

// delayed starts the timer of the piece that has come, unless it has passed.
func (l *lane) delayed() bool {
	d := l.faults.Delay
	if d > 0 && l.faults.RandomDelay {
		d = time.Duration(l.random.Uint64N(uint64(d) + 1)) // there are Delays that an int64 has no number after
	}
	if d <= 0 || l.due {
		l.due = false
		return false
	}
	l.waiting = l.loop.AfterFunc(d, func() {
		l.waiting, l.due = nil, true
		l.pump()
	})
	return true
}

// room is how many bytes may be passed on before something happens.
func (l *lane) room() int {
	n := l.faults.Piece
	if n <= 0 {
		n = pieceDefault
	}
	if l.faults.RandomPieces {
		n = 1 + l.random.IntN(n)
	}
	if len(l.list) > 0 {
		n = int(min(int64(n), l.list[0].At-l.taken))
	}
	return n
}

// advance passes the sender's next bytes on, and has happen what is due then.
func (l *lane) advance(p []byte) {
	l.taken += int64(len(p))
	dropped := min(l.drop, len(p))
	l.drop -= dropped
	if p = p[dropped:]; len(p) > 0 {
		l.pass(p)
		l.remember(p)
	}
	l.happen()
}

func (l *lane) remember(p []byte) {
	memory := l.faults.memory()
	if memory == 0 {
		return
	}
	l.recent = append(l.recent, p...)
	l.recent = append(l.recent[:0], l.recent[max(len(l.recent)-memory, 0):]...)
}

// happen does what is due at this byte.
func (l *lane) happen() {
	for len(l.list) > 0 && l.list[0].At <= l.taken && !l.ended && !l.stalled {
		f := l.list[0]
		l.list = l.list[1:]
		switch f.Do {
		case Insert:
			l.pass(f.Data)
		case Repeat:
			l.pass(l.recent[max(len(l.recent)-f.bytes(), 0):])
		case Drop:
			l.drop += min(f.bytes(), math.MaxInt-l.drop)
		case Stall:
			l.stalled = true
		case HalfClose:
			l.ended = true
			l.half()
		case Kill, Exit:
			l.ended = true
			l.die(f)
		}
	}
}
