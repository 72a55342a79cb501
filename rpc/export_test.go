package rpc

import (
	"context"
	"fmt"
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// The unexported parts, for the external tests.

// SetPoll gives a server whose handlers wait for answers another poll(2), in ms.
func SetPoll(s *Server, poll func(fds []unix.PollFd, timeout int) (int, error)) { s.poll = poll }

// IdleRunners is how many goroutines without a call a server keeps.
const IdleRunners = idleRunners

// Frame is what a decoder finds.
type Frame struct {
	Word    uint32
	Payload string
}

// Decode feeds the pieces to one decoder and returns its frames, how many bytes
// of an unfinished one are pending, and its error.
func Decode(limit uint32, pieces ...[]byte) (frames []Frame, pending int, err error) {
	return decode(decoder{limit: limit}, pieces)
}

// DecodeGreeted is Decode for frames of which the first is a hello.
func DecodeGreeted(limit uint32, pieces ...[]byte) (frames []Frame, pending int, err error) {
	return decode(decoder{limit: limit, hello: true}, pieces)
}

// DecodeSyncCalls is Decode for frames without a word.
func DecodeSyncCalls(limit uint32, pieces ...[]byte) (frames []Frame, pending int, err error) {
	return decode(decoder{limit: limit, lengthOnly: true}, pieces)
}

func decode(d decoder, pieces [][]byte) (frames []Frame, pending int, err error) {
	for _, p := range pieces {
		d.feed(p)
		for d.next() {
			frames = append(frames, Frame{d.word, string(d.payload)})
		}
	}
	return frames, d.pending(), d.err
}

// DecoderKeeps is how large a buffer a decoder holds after the pieces.
func DecoderKeeps(limit uint32, pieces ...[]byte) int {
	for largeFrames.Get() != nil { // of other tests: they would be lent
	}
	d := decoder{limit: limit}
	for _, p := range pieces {
		d.feed(p)
		for d.next() {
		}
	}
	return cap(d.partial.bytes)
}

// DecoderOfLargeFrames returns a function that feeds a decoder one frame, in pieces
// as reads bring them, and reports whether it came out whole, and alone: what is
// behind it in its buffer may be another child's.
func DecoderOfLargeFrames(size, piece int) func() bool {
	d := decoder{limit: uint32(size)}
	frame := appendFrame(nil, 1, make([]byte, size))
	return func() bool {
		whole := false
		for rest := frame; len(rest) > 0; rest = rest[min(piece, len(rest)):] {
			d.feed(rest[:min(piece, len(rest))])
			for d.next() {
				whole = len(d.payload) == size && cap(d.payload) == size
			}
		}
		return whole
	}
}

// AppendFrame is the encoder.
func AppendFrame(buf []byte, word uint32, payload []byte) []byte {
	return appendFrame(buf, word, payload)
}

// AppendHello is the hello of a server.
func AppendHello(buf []byte) []byte {
	h := ourHello("", "")
	h.window = defaultPartsWindow
	return h.append(buf)
}

// AppendClientHello is the hello of a client.
func AppendClientHello(buf []byte) []byte { h := ourHello("", ""); return h.append(buf) }

// MaxFrame is the limit in force for a configured one.
func MaxFrame(configured int) uint32 { return maxFrame(configured) }

// CallTable is a callTable.
type CallTable struct{ t callTable }

// NewCallTable makes one that goes on with nextID.
func NewCallTable(wire Wire, nextID uint32) *CallTable {
	c := &CallTable{newCallTable(wire)}
	c.t.nextID, c.t.oldest = nextID, nextID
	return c
}

func (c *CallTable) Add(to Completion, end uint64) uint32 {
	id := c.t.reserve()
	c.t.add(id, to, end)
	return id
}

func (c *CallTable) Take(id uint32) Completion { return c.t.take(id) }

// TakeOldest begins with the call that had the nextID of NewCallTable.
func (c *CallTable) TakeOldest() Completion { return c.t.takeOldest() }

func (c *CallTable) Len() int { return c.t.count }

func (c *CallTable) Schedule(id uint32, at time.Duration) { c.t.schedule(id, at) }

func (c *CallTable) Unschedule(id uint32) { c.t.unschedule(c.t.entry(id)) }

// FirstTime is the earliest time of a call.
func (c *CallTable) FirstTime() (id uint32, at time.Duration, ok bool) {
	first, ok := c.t.first()
	return first.id, first.at, ok
}

// SetNextID has a client's next call have an id.
func SetNextID(c *Client, id uint32) { c.calls.nextID = id }

// Drain returns the ids of the calls that were left, in the order they were made.
func (c *CallTable) Drain() (ids []uint32) {
	for _, call := range c.t.drain() {
		ids = append(ids, call.id)
	}
	return ids
}

// RelateClocks is relateClocks.
func RelateClocks(since func() time.Duration, monotonic func() int64) (clock int64, slack time.Duration) {
	return relateClocks(since, monotonic)
}

// Busy is a busy counter.
type Busy struct{ busy }

func NewBusy() *Busy        { return &Busy{newBusy()} }
func (b *Busy) Called()     { b.called() }
func (b *Busy) Answered()   { b.answered() }
func (b *Busy) InputEnded() { b.inputEnded() }
func (b *Busy) Idle() bool  { return b.idle() }

// Pace is a pace whose samples are given instead of measured.
type Pace struct{ pace }

func NewPace(flushEach bool) *Pace { return &Pace{newPace(flushEach, nil)} }

// Observe is n calls that took d together.
func (p *Pace) Observe(n int, d time.Duration) {
	if n == 0 {
		p.start()
		p.stop(0)
		return
	}
	p.take(d / time.Duration(n))
}

func (p *Pace) Batching() bool { return p.batching() }

// OpenCalls are openCalls.
type OpenCalls struct{ o openCalls }

func (o *OpenCalls) Add(id uint32) Done               { return o.o.add(id) }
func (o *OpenCalls) Take(d Done) (id uint32, ok bool) { return o.o.take(d.slot, d.gen) }
func (o *OpenCalls) Slots() int                       { return len(o.o.slots) }

// AnyWaiting reports whether calls of goroutines, or functions of WaitReady,
// have reached the loop and wait for room.
func AnyWaiting(c *Client) bool { return !c.queue.waiting.empty() }

// Waiting is how many of these there are.
func Waiting(c *Client) (n int) {
	for w := c.queue.waiting.head; w != nil; w = w.next {
		n++
	}
	return n
}

// EncodeRemoteError and DecodeRemoteError are the two ends of an error reply.
func EncodeRemoteError(err error, limit int) Payload { return encodeRemoteError(err, nil, limit) }
func DecodeRemoteError(payload Payload) *RemoteError { return decodeRemoteError(payload, nil) }

// PartQueue is a partQueue.
type PartQueue struct{ q partQueue }

func (p *PartQueue) Push(part []byte) { p.q.push(part) }
func (p *PartQueue) Pop() Payload     { return p.q.pop() }
func (p *PartQueue) Len() int         { return p.q.count }
func (p *PartQueue) Cost() int64      { return p.q.cost }

// Kept is how much memory the queue holds.
func (p *PartQueue) Kept() int {
	n := cap(p.q.spare)
	for _, c := range p.q.chunks {
		n += cap(c)
	}
	return n
}

// IsFull reports whether a server takes no more events: whoever has one waits, or is told
// so by ServeAsync, on whose loop IsFull is called. If there is but one, as with
// ServeSync, it waits whenever it writes.
func IsFull(s *Server, alone bool) bool {
	w, ok := s.out.(*frameWriter)
	if !ok {
		return s.out.full()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.writing && (alone || w.atLimit.Load())
}

// Unwritten is how many bytes a server whose descriptors block has yet to write.
func Unwritten(s *Server) int {
	s.writer.mu.Lock()
	defer s.writer.mu.Unlock()
	return s.writer.queued
}

// IsQueued reports whether something waits behind what such a server is writing, or would if there were room.
func IsQueued(s *Server) bool {
	s.writer.mu.Lock()
	defer s.writer.mu.Unlock()
	return len(s.writer.queue) > 0 || s.writer.atLimit.Load()
}

// EncodeRemoteErrorWith is EncodeRemoteError with sentinels.
func EncodeRemoteErrorWith(err error, s Sentinels, limit int) Payload {
	return encodeRemoteError(err, s, limit)
}

// DecodeRemoteErrorWith is DecodeRemoteError with sentinels.
func DecodeRemoteErrorWith(payload Payload, s Sentinels) *RemoteError {
	return decodeRemoteError(payload, s)
}

// MaySend reports whether Send would not wait.
func MaySend(s *Stream) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.room > 0 && !s.ended
}

// Hands reports whether a Call with that request is handed over.
func Hands[Req, Resp any](m *Method[Req, Resp], req Req) bool { return m.hands(&req) }

// Turns decides when the loop gives way, by a time that is given.
type Turns struct{ turns }

func (t *Turns) Due(now time.Time) bool {
	_, due := t.due(crowd, func() time.Time { return now })
	return due
}
func (t *Turns) Ended(began time.Time, took time.Duration) { t.ended(began, took) }

// Crowd, SmallCrowd, ManyCalls and LongTurn are the limits that it goes by.
const (
	Crowd      = crowd
	SmallCrowd = smallCrowd
	ManyCalls  = manyCalls
	LongTurn   = longTurn
)

// SmallReply and BatchReplies are the limits of what is decoded together.
const (
	SmallReply   = smallReply
	BatchReplies = batchReplies
)

// DecodeTogether has a client take it that there are several processors, and that the loop should not give way to goroutines.
func DecodeTogether(c *Client) {
	c.queue.row.processors, c.queue.row.counted = 2, time.Now().Add(time.Hour)
	c.queue.turns.rest = c.queue.row.counted
}

// ChunkSize is how large the pieces are in which a server that blocks writes.
const ChunkSize = chunkSize

// Submitted is how many calls of goroutines, and functions of WaitReady, the loop has yet to take.
func Submitted(c *Client) (n int) {
	c.queue.mu.Lock()
	defer c.queue.mu.Unlock()
	for w := c.queue.submitted.head; w != nil; w = w.next {
		n++
	}
	return n
}

// JobsQueued is how many jobs of a fan-out have reached the loop and wait for a client with room.
func JobsQueued[Req, Resp any](f *FanOut[Req, Resp]) (n int) {
	for j := f.queue.head; j != nil; j = j.next {
		n++
	}
	return n
}

// Greeted reports whether the child's hello has come.
func Greeted(c *Client) bool { return c.greeted }

// StreamedCalls is how many streamed calls a server has that were not answered.
func StreamedCalls(s *Server) int { return int(s.partsTable.open.Load()) }

// Buffered is how many bytes of calls the child's pipe has not taken.
func Buffered(c *Client) int { return c.stream.Buffered() }

// WriteFD is the descriptor through which calls go to the child.
func WriteFD(c *Client) int {
	_, fd := c.stream.FDs()
	return fd
}

// CountsOfProcessors is how often reads count the processors that are so far apart.
func CountsOfProcessors(reads int, apart time.Duration) (counts int) {
	var r wokenRow
	now := time.Now()
	for range reads {
		r.begin(now, func() int { counts++; return 1 })
		now = now.Add(apart)
	}
	return counts
}

// WakesInRow reports whether goroutines whose replies come so long after others are woken in a row.
func WakesInRow(after time.Duration, processors int) bool {
	r := wokenRow{last: time.Now()}
	r.begin(r.last.Add(after), func() int { return processors })
	return r.gathers
}

// IsBacklogFull reports whether an async server begins to let the pipe push back for want of calls that may begin. It belongs to the loop.
func IsBacklogFull(s *Server) bool { return s.out.(*asyncServer).backlog.calls.full() }

// ParkLate has goroutines that call a client park late from now on, as with one processor, whatever comes of it.
func ParkLate(c *Client) {
	q := &c.queue
	q.switchLate(true)
	q.late.crowd, q.late.oneCPU, q.late.told = 0, false, math.MinInt
	q.row.processors, q.row.counted = 1, time.Now().Add(time.Hour)
}

// WithAnotherCPU and WithoutAnotherCPU have a client take it that its child has a CPU of its own, or not, whatever the machine has.
func WithAnotherCPU(c *Client)    { c.queue.late.oneCPU = false }
func WithoutAnotherCPU(c *Client) { c.queue.late.oneCPU = true }

// LateCaller is the waiter of a call whose goroutine parks late.
type LateCaller struct {
	w   *waiter
	ctx context.Context
}

func NewLateCaller(ctx context.Context, c *Client) LateCaller {
	w := c.queue.waiter()
	w.patient, w.late = ctx.Done() == nil, true
	w.state.Store(waiting)
	return LateCaller{w, ctx}
}

// Park is what its goroutine does. It reports whether the call ended before its ctx.
func (l LateCaller) Park() bool {
	ended := l.w.foundLate() || l.w.parkLate(l.ctx.Done())
	if ended {
		l.w.wakeNext()
	}
	return ended
}

// End is what the loop does when the call has ended.
func (l LateCaller) End() { l.w.Complete(nil, nil) }

func (l LateCaller) Parked() bool { return l.w.state.Load() == parked }

// Awaited reports whether the goroutine waits to be told of an end that it can no longer forestall.
func (l LateCaller) Awaited() bool { return l.w.state.Load() == awaited }

// LetGo reports whether the loop has seen, when the call ended, that its goroutine had gone.
func (l LateCaller) LetGo() bool { return l.w.seen && len(l.w.ready) == 0 }

// ActOnReplies has end called as if a read had brought replies.
func ActOnReplies(c *Client, end func()) {
	c.queue.row.gathers = true
	end()
	c.queue.endReplies()
}

// RestsOfLateParking is how many calls go by after each trial that was in vain.
func RestsOfLateParking(trials int) (rests []uint) {
	var q callQueue
	q.late.init()
	q.late.oneCPU = false // also where there is one only
	q.row.processors = 1
	for range trials {
		q.late.crowded, q.parksLate, q.late.told, q.late.found = true, true, lateTrial, 0
		q.decide()
		rests = append(rests, q.late.rest)
	}
	q.late.crowded, q.parksLate, q.late.told, q.late.found = true, true, lateTrial, lateTrial
	q.decide()
	return append(rests, q.late.rest)
}

// LateTrial, LateRest and LateCrowd are when it is decided whether goroutines park late.
const (
	LateTrial = lateTrial
	LateRest  = lateRest
	LateCrowd = lateCrowd
)

// Read is what is known of late parking when a read has been acted on.
type Read struct {
	Crowded, Slow, OneCPU bool
	Processors            int
	Rested, Told, Found   int
}

// ParksLate is whether goroutines park late after a read, having done so or not.
func ParksLate(before bool, r Read) bool {
	q := callQueue{parksLate: before, row: wokenRow{processors: r.Processors}, late: lateParking{
		crowded: r.Crowded, slow: r.Slow, oneCPU: r.OneCPU, rested: uint(r.Rested), rest: lateTrial, told: r.Told, found: r.Found,
	}}
	q.decide()
	return q.parksLate
}

// CorkFor is how much of a batch of requests is held back, in bytes.
func CorkFor(calls int, mean uint64) int { return corkFor(calls, mean) }

// MeanRequests is how large requests are taken to be after each of these reads, before which so many calls were made, and so
// many bytes sent.
func MeanRequests(reads [][2]int) (means []uint64) {
	calls := newCallTable(Evfork)
	sizes := requestSizes{nextID: calls.nextID}
	accepted := 0
	for _, r := range reads {
		for range r[0] {
			calls.add(calls.reserve(), abandoned{}, 0)
		}
		accepted += r[1]
		sizes.update(&calls, uint64(accepted))
		means = append(means, sizes.mean)
	}
	return means
}

// KeptByCaller is how many bytes a Caller keeps of replies and arguments.
func KeptByCaller(a *Caller) int { return cap(a.list) + cap(a.w.reply) + cap(a.w.own) }

// ClientStreams and ServerStreams are how many streamed calls each side knows of, those included whose parts have yet to end.
func ClientStreams(c *Client) int {
	return c.streams.open + len(c.streams.waiting) + len(c.streams.ends)
}
func ServerStreams(s *Server) int { return len(s.partsTable.calls) + StreamedCalls(s) }

// CompareCredits compares what the two sides of a streamed call take its credits for, when nothing is underway and all parts have been taken.
func CompareCredits(s *LoopStream, d Done) error {
	c, p := &s.call, d.streamed()
	if p.credit != c.credit || c.credit <= 0 {
		return fmt.Errorf("the child may send %d bytes, by the parent %d", p.credit, c.credit)
	}
	if !c.ending && (p.left != c.room || c.room <= 0) {
		return fmt.Errorf("the parent may send %d bytes, by the child %d", c.room, p.left)
	}
	return nil
}

// Closing reports whether a client was shut down.
func Closing(c *Client) bool { return c.closing }

// OpenUpcalls is how many calls of a child are left there, and OwedAnswers how many answers of its parent.
func OpenUpcalls(s *Server) int {
	u := &s.upcalls
	return u.table.count + len(u.table.times.heap) + len(u.loop.canceled)
}
func OwedAnswers(c *Client) int { return c.upcalls.owed + len(c.upcalls.unsent) }
