package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"
)

// A role is what a server does with its connections.
type role string

const (
	roleEcho     role = "echo"      // what comes goes back
	roleSink     role = "sink"      // takes and checks, and is busy elsewhere now and then
	roleAfterEOF role = "after-eof" // answers once the client has ended its writing, then closes
	roleBulk     role = "bulk"      // answers the first byte with one large buffer, then closes
	roleVector   role = "vector"    // answers the first byte with many buffers, and stays
	rolePush     role = "push"      // the first byte starts a goroutine that sends in random bursts
	roleStop     role = "stop"      // echoes; a stopByte shuts the server down from the callback
)

const stopByte = 0xff

// sinkPause is how long a sink does something else in its open callback, and
// once more after half of the bytes: the client goes on meanwhile, so that
// bytes are still in the kernel when the end of the connection is reported.
const sinkPause = 30 * time.Millisecond

// A Binding is what a server is told: where to listen and what to do. Its
// sessions hold the roles, so that a contestant's file has nothing but the
// library in it.
type Binding struct {
	Order
	ledger  *ledger
	serving func(stop func())
}

// ready tells the driver that connections are accepted, and how to stop the
// server from another goroutine: what the library documents for that.
func (b *Binding) ready(stop func()) { b.serving(stop) }

// refusal begins a line of the log for an error that a library returned.
const refusal = "refused: "

// refused logs the error of a function of the library's. What the client
// misses is still what counts.
func (b *Binding) refused(doing string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s%s: %v\n", refusal, doing, err)
	}
}

// newSession is to be called once per connection, when it opens.
func (b *Binding) newSession() *session {
	s := &session{order: &b.Order, record: b.ledger.open(newVerifier(b.pattern()))}
	if b.Role == roleSink {
		time.Sleep(sinkPause)
	}
	return s
}

func (o *Order) pattern() pattern { return pattern{seed: o.Seed} }

// A session is one connection's part, whatever library carries it. A library
// calls its methods one at a time.
type session struct {
	order  *Order
	record *record
	asked  bool
}

// An answer is what a library is to do next.
type answer struct {
	vector [][]byte // to write, in order; the slices stay unchanged, except that an echo's is the one that came
	close  bool     // afterwards: once all of it has been written
	push   bool     // call session.push on a goroutine of its own
	stop   bool     // the whole server
}

// data takes bytes that have come.
func (s *session) data(in []byte) answer {
	switch s.order.Role {
	case roleEcho:
		s.record.count(len(in))
		return answer{vector: [][]byte{in}}
	case roleSink:
		s.record.take(in)
		if s.record.total() > int64(s.order.Size/2) && s.first() {
			time.Sleep(sinkPause)
		}
	case roleAfterEOF:
		s.record.count(len(in))
	case roleBulk:
		if s.first() {
			return answer{vector: [][]byte{s.order.pattern().bytes(s.order.Size)}, close: true}
		}
	case roleVector:
		if s.first() {
			return answer{vector: s.order.vector()}
		}
	case rolePush:
		return answer{push: s.first()}
	case roleStop:
		if in[0] == stopByte {
			return answer{stop: true}
		}
		return answer{vector: [][]byte{in}}
	}
	return answer{}
}

func (s *session) first() bool {
	first := !s.asked
	s.asked = true
	return first
}

// eof takes the end of the client's writing, from a library that has such an
// event apart from the connection's end.
func (s *session) eof() answer {
	if s.order.Role == roleAfterEOF {
		return answer{vector: [][]byte{s.order.pattern().bytes(s.order.Size)}, close: true}
	}
	return answer{close: true}
}

const (
	pushMost  = 32 << 10 // bytes in a burst
	pushPause = 200 * time.Microsecond
)

// push writes the whole answer from a goroutine that is not the library's, by
// write: whatever the library documents for that. The bytes are write's.
func (s *session) push(write func([]byte) error) {
	random := rand.New(rand.NewPCG(s.order.Seed, 1))
	p, size := s.order.pattern(), int64(s.order.Size)
	for at := int64(0); at < size; {
		burst := make([]byte, min(int64(1+random.IntN(pushMost)), size-at))
		p.fill(burst, at)
		if write(burst) != nil {
			return // the client sees what is missing
		}
		at += int64(len(burst))
		if random.IntN(4) == 0 {
			time.Sleep(pushPause)
		}
	}
}

// closed is to be called when the library says that the connection is over.
func (s *session) closed() { s.record.close() }

// vector cuts the pattern into Buffers pieces of all kinds: empty ones, single
// bytes, and some that are larger than any socket buffer.
func (o *Order) vector() [][]byte {
	whole := o.pattern().bytes(o.Size)
	var vector [][]byte
	for i := 0; len(whole) > 0; i++ {
		n := 1 + (i*i*37)%4093
		switch {
		case i == o.Buffers-1:
			n = len(whole)
		case i == o.Buffers/2:
			n = len(whole) / 2
		case i%7 == 3:
			n = 0
		case i%7 == 5:
			n = 1
		}
		n = min(n, len(whole))
		vector = append(vector, whole[:n:n])
		whole = whole[n:]
	}
	return vector
}

// A ledger counts a server's connections and what they got. Goroutine-safe.
type ledger struct {
	mu      sync.Mutex
	records []*record
}

// A record is one connection's line in the ledger.
type record struct {
	mu       sync.Mutex
	received int64
	checked  *verifier
	closes   int
}

func (l *ledger) open(v *verifier) *record {
	r := &record{checked: v}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, r)
	return r
}

func (r *record) count(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.received += int64(n)
}

func (r *record) take(in []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.received += int64(len(in))
	r.checked.take(in)
}

func (r *record) total() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.received
}

func (r *record) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closes++
}

// summary is what the driver is told; total is how long each connection's
// stream was to be.
func (l *ledger) summary(total int64) Summary {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Summary{Opened: len(l.records)}
	for _, r := range l.records {
		r.mu.Lock()
		s.Received += r.received
		switch {
		case r.closes == 1:
			s.Closed++
		case r.closes > 1:
			s.Closed++
			s.Doubled++
		}
		s.Stream = s.Stream.worse(r.checked.verdict(total))
		r.mu.Unlock()
	}
	return s
}
