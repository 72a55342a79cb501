package main

import (
	"sync"
	"time"
)

// A role is what a server does with its connections.
type role string

const (
	roleEcho     role = "echo"      // what comes goes back
	roleSink     role = "sink"      // takes and checks; a little slow, as servers are
	roleAfterEOF role = "after-eof" // answers once the client has ended its writing, then closes
	roleBulk     role = "bulk"      // answers the first byte with one large buffer, then closes
	roleVector   role = "vector"    // answers the first byte with many buffers, and stays
	roleStop     role = "stop"      // echoes; a stopByte shuts the server down from the callback
)

const stopByte = 0xff

// sinkPause makes a sink wait after every sinkStride bytes, so that bytes are
// still in the kernel when the end of the connection is reported.
const (
	sinkStride = 256 << 10
	sinkPause  = 20 * time.Millisecond
)

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

// newSession is to be called once per connection, when it opens.
func (b *Binding) newSession() *session {
	s := &session{order: &b.Order, record: b.ledger.open(newVerifier(b.pattern()))}
	return s
}

func (o *Order) pattern() pattern { return pattern{seed: o.Seed} }

// A session is one connection's part, whatever library carries it. A library
// calls its methods one at a time.
type session struct {
	order  *Order
	record *record
	asked  bool
	paused int64
	one    [1][]byte
}

// An answer is what a library is to do next.
type answer struct {
	vector [][]byte // to write, in order; the slices stay unchanged, except that an echo's is the one that came
	close  bool     // afterwards: once all of it has been written
	stop   bool     // the whole server
}

// data takes bytes that have come.
func (s *session) data(in []byte) answer {
	switch s.order.Role {
	case roleEcho:
		s.record.count(len(in))
		s.one[0] = in
		return answer{vector: s.one[:]}
	case roleSink:
		s.record.take(in)
		if at := s.record.total() / sinkStride; at > s.paused {
			s.paused = at
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
	case roleStop:
		if in[0] == stopByte {
			return answer{stop: true}
		}
		s.one[0] = in
		return answer{vector: s.one[:]}
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

// closed is to be called when the library says that the connection is over.
func (s *session) closed() { s.record.close() }

// vector cuts the pattern into buffers of all kinds: empty ones, single bytes,
// one that is larger than any socket buffer, and more of them than IOV_MAX.
func (o *Order) vector() [][]byte {
	whole := o.pattern().bytes(o.Size)
	var vector [][]byte
	for i := 0; len(whole) > 0; i++ {
		n := 1 + (i*i*37)%4093
		switch {
		case i == 700 || i > 1500:
			n = max(len(whole)/2, 1)
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
