package reactor_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// The torture sends numbered records both ways through kernel buffers that are
// as small as they can be, in random pieces, to readers that take random
// amounts. Every byte must arrive, once and in order. EVFORK_TORTURE=1m repeats
// it with new seeds for that long; EVFORK_TORTURE_SEED=n repeats one.

// tortureRounds makes rounds with one seed after the other: one, or as many as
// EVFORK_TORTURE has time for, of which a test that consists of several takes its
// share for each.
func tortureRounds(t *testing.T, share int, round func(t *testing.T, seed uint64)) {
	t.Helper()
	var duration time.Duration
	seed := uint64(time.Now().UnixNano())
	var err error
	if text := os.Getenv("EVFORK_TORTURE"); text != "" {
		duration, err = time.ParseDuration(text)
		must(t, err)
	}
	if text := os.Getenv("EVFORK_TORTURE_SEED"); text != "" {
		seed, err = strconv.ParseUint(text, 10, 64)
		must(t, err)
	}
	for end := time.Now().Add(duration / time.Duration(share)); ; seed++ {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Logf("EVFORK_TORTURE_SEED=%d", seed)
			round(t, seed)
		})
		if t.Failed() || !time.Now().Before(end) {
			return
		}
	}
}

// torturedBytes is how much goes each way in one round.
func torturedBytes() int {
	switch {
	case raceEnabled || testing.Short():
		return 2 << 20
	default:
		return 64 << 20
	}
}

func TestTortureNothingIsLostDoubledOrReordered(t *testing.T) {
	transports := fdtest.Transports()
	for _, transport := range transports {
		t.Run(transport.Name, func(t *testing.T) {
			tortureRounds(t, len(transports), func(t *testing.T, seed uint64) { torture(t, transport, seed) })
		})
	}
}

// torture is one round: the stream against two goroutines at its other end.
func torture(t *testing.T, transport fdtest.Transport, seed uint64) {
	loop := newLoop(t)
	ours, theirs := transport.Open(t)
	defer theirs.Close()
	fdtest.Shrink(t, ours.Write)
	fdtest.Shrink(t, theirs.Write)
	size := torturedBytes()
	end := &torturedEnd{t: t, rnd: rand.New(rand.NewPCG(seed, 0)), loop: loop, out: source{left: size}}
	s, err := loop.NewStream(ours.Read, ours.Write, end.config())
	must(t, err)
	end.stream = s

	var peer sync.WaitGroup
	peer.Go(func() { tortureWrite(t, theirs, size, rand.New(rand.NewPCG(seed, 1))) })
	peer.Go(func() { tortureRead(t, theirs, size, rand.New(rand.NewPCG(seed, 2))) })
	end.produce()
	pollUntilIdle(t, loop, end)
	peer.Wait()
	if end.in.got != size || end.closed != 1 || end.err != nil {
		t.Errorf("got %d of %d bytes, closed %d times with %v", end.in.got, size, end.closed, end.err)
	}
}

// stuck is how often the loop may wait for a second, and nothing moves. Time alone says
// nothing on a busy machine, where peers come to their turn when they come.
const stuck = 300

// pollUntilIdle runs the loop until the stream is closed. What guards the other
// tests against hanging would be too short here: it ends when nothing has moved.
func pollUntilIdle(t *testing.T, loop *reactor.Loop, end *torturedEnd) {
	t.Helper()
	moved, idle := loop.Stats(), 0
	for end.closed == 0 && !t.Failed() {
		must(t, loop.Poll(time.Second))
		idle++
		now := loop.Stats()
		if now.BytesRead != moved.BytesRead || now.BytesWritten != moved.BytesWritten {
			moved, idle = now, 0
		}
		if idle == stuck {
			t.Errorf("nothing has moved in %d iterations: %d bytes left to write, %d queued, paused %v",
				stuck, end.out.left, end.stream.Buffered(), end.stream.Paused())
		}
	}
	end.stream.Close()
}

// torturedEnd is the stream's side.
type torturedEnd struct {
	t      *testing.T
	rnd    *rand.Rand
	loop   *reactor.Loop
	stream *reactor.Stream
	out    source
	in     sink
	closed int
	err    error
}

func (e *torturedEnd) config() reactor.StreamConfig {
	high := 1 + e.rnd.IntN(100_000)
	return reactor.StreamConfig{
		HighWater:     high,
		MaxBuffered:   high + e.rnd.IntN(10_000),
		EdgeTriggered: e.rnd.IntN(2) == 0,
		OnData:        e.onData,
		OnDrain:       e.produce,
		OnEOF:         func() { e.in.end(e.t) },
		OnClose:       func(err error) { e.closed, e.err = e.closed+1, err },
	}
}

func (e *torturedEnd) onData(data []byte) {
	e.in.take(e.t, data)
	if e.rnd.IntN(50) == 0 {
		must(e.t, e.stream.Pause())
		resume := func() { must(e.t, e.stream.Resume()) }
		if e.rnd.IntN(2) == 0 {
			e.loop.Post(resume)
		} else {
			e.loop.AfterFunc(time.Duration(e.rnd.IntN(int(time.Millisecond))), resume)
		}
	}
}

// produce queues pieces until it is told to wait, in one of two ways.
func (e *torturedEnd) produce() {
	for e.out.left > 0 && !e.stream.Congested() {
		piece := e.out.peek(1 + e.rnd.IntN(e.largest()))
		err := e.write(piece)
		switch {
		case errors.Is(err, reactor.ErrBufferFull) && e.stream.Buffered() == 0:
			continue // larger than all of the buffer: another size
		case errors.Is(err, reactor.ErrBufferFull):
			return // OnDrain comes
		case err != nil:
			e.t.Errorf("commit: %v", err)
			return
		}
		e.out.advance(len(piece))
		if e.rnd.IntN(10) == 0 {
			e.stream.Flush()
		}
	}
	if e.out.left == 0 {
		e.stream.CloseWrite()
	}
}

// largest is the size of the largest piece: now and then one that is written past
// the queue.
func (e *torturedEnd) largest() int {
	if e.rnd.IntN(20) == 0 {
		return 300_000
	}
	return 20_000
}

// write queues a piece in one of the two ways.
func (e *torturedEnd) write(piece []byte) error {
	if e.rnd.IntN(3) == 0 {
		at := e.rnd.IntN(len(piece) + 1)
		return e.stream.Writev(piece[:at], nil, piece[at:])
	}
	return e.stream.Commit(append(e.stream.AppendBuffer(), piece...))
}

// tortureWrite is the peer's writing: random pieces.
func tortureWrite(t *testing.T, peer *fdtest.End, size int, rnd *rand.Rand) {
	out := source{left: size}
	for out.left > 0 && !t.Failed() {
		piece := out.peek(1 + rnd.IntN(20_000))
		peer.Send(t, piece)
		out.advance(len(piece))
	}
	peer.CloseWrite()
}

// tortureRead is the peer's reading: random amounts, now and then a rest.
func tortureRead(t *testing.T, peer *fdtest.End, size int, rnd *rand.Rand) {
	var in sink
	buf := make([]byte, 20_000)
	for !t.Failed() {
		n := peer.Receive(t, buf[:1+rnd.IntN(len(buf))])
		if n == 0 {
			break
		}
		in.take(t, buf[:n])
		if rnd.IntN(1000) == 0 {
			// A slow reader, not a synchronisation: nothing depends on how long it takes.
			time.Sleep(time.Duration(rnd.IntN(int(time.Millisecond))))
		}
	}
	in.end(t)
	if in.got != size {
		t.Errorf("the peer got %d of %d bytes", in.got, size)
	}
}

// recordSize is the size of one record: its number, in eight bytes.
const recordSize = 8

// records returns n bytes of the sequence of records, from offset on.
func records(buf []byte, offset, n int) []byte {
	number := offset / recordSize
	skip := offset % recordSize
	buf = buf[:0]
	for len(buf) < skip+n {
		buf = binary.BigEndian.AppendUint64(buf, uint64(number))
		number++
	}
	return buf[skip : skip+n]
}

// source produces the sequence.
type source struct {
	at, left int
	buf      []byte
}

// peek returns the next n bytes, or what is left.
func (s *source) peek(n int) []byte {
	n = min(n, s.left)
	s.buf = grow(s.buf, n)
	return records(s.buf, s.at, n)
}

func (s *source) advance(n int) {
	s.at += n
	s.left -= n
}

// sink checks the sequence.
type sink struct {
	got  int
	buf  []byte
	bad  bool
	ends int
}

func (s *sink) take(t *testing.T, data []byte) {
	s.buf = grow(s.buf, len(data))
	if want := records(s.buf, s.got, len(data)); !s.bad && !bytes.Equal(data, want) {
		s.bad = true // the first is enough
		t.Errorf("bytes %d to %d are wrong: %s", s.got, s.got+len(data), firstDifference(data, want))
	}
	s.got += len(data)
}

func (s *sink) end(t *testing.T) {
	if s.ends++; s.ends > 1 {
		t.Error("a second EOF")
	}
}

func grow(buf []byte, n int) []byte {
	if cap(buf) < n+2*recordSize {
		return make([]byte, n+2*recordSize)
	}
	return buf
}

func firstDifference(got, want []byte) string {
	for i := range got {
		if got[i] != want[i] {
			return fmt.Sprintf("byte %d of these: %s, want %s", i, excerpt(got, i), excerpt(want, i))
		}
	}
	return "none"
}
