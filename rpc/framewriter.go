package rpc

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/evfork/evfork/internal/yield"
)

// frameWriter is the sink of the servers whose descriptors block. Whoever finds
// nobody writing writes, and goes on with what others have queued meanwhile; when that is more than
// writersShare, the next of these goes on instead.
type frameWriter struct {
	fd      int
	limit   int // of what may wait to be written
	mu      sync.Mutex
	change  sync.Cond   // there is room again, or a write has ended
	queue   [][]byte    // chunks; all but the last are full
	other   [][]byte    // empty: the other half of the double buffer
	free    [][]byte    // chunks to be used again
	frames  int         // in the queue
	queued  int         // bytes in the queue, and in what is being written of an earlier one
	total   uint64      // bytes that have been queued so far
	writing bool        // by one of those who queue
	tired   bool        // who has written his share
	relief  bool        // another waits to go on instead
	baton   bool        // and is to do so now
	flushes int         // how many wait for what is queued
	atLimit atomic.Bool // no more should be queued; changed under mu
	err     error       // final
	timed   bool        // somebody asks for took
	took    writingTime
}

// writerLimit is how much may wait to be written, unless configured, before those who
// queue have to wait: with them the server stops reading, and the pipe pushes back.
const writerLimit = 1 << 20

// chunkSize is how much is written at a time; then it is no longer counted, and its memory
// is used again. A queue of one piece would be copied whenever it grows.
const chunkSize = 128 << 10

// writersShare is how many bytes of others one of those who queue writes, at least, if there is no end to them. Behind it wait replies,
// and a server that handles one call at a time.
const writersShare = chunkSize

// chunksKept is how many chunks a writer keeps that has nothing to write.
const chunksKept = writerLimit / chunkSize

// How much of a batch of replies is held back, in bytes: the parent can work on these
// while the rest is made. corkLimit and corkMost, for one CPU, are the same as a stream's; up to corkFrames long replies are
// worth more, because each write that blocks is a switch to the parent.
const (
	corkLimit  = 8 << 10
	corkFrames = 8
	corkMost   = 32 << 10
)

func newFrameWriter(fd, limit int) *frameWriter {
	w := &frameWriter{fd: fd, limit: limit}
	w.change.L = &w.mu
	return w
}

// measure has the writer measure from now on how long its writes take: two readings of the clock
// for each.
func (w *frameWriter) measure() *writingTime {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timed = true
	return &w.took
}

func (w *frameWriter) frame(word uint32, payload []byte, prompt bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waitForRoomLocked()
	if w.err != nil {
		return w.err
	}
	w.append(word, payload)
	if w.writing {
		w.noteRoom()
		if w.tired && !w.relief {
			return w.relieve()
		}
		return nil // it is taken along
	}
	if !prompt && w.corked() {
		return nil
	}
	return w.flushLocked()
}

// corked reports whether what is queued may wait for more.
func (w *frameWriter) corked() bool {
	return w.queued < corkLimit || (w.frames < corkFrames || yield.OneCPU) && w.queued < corkMost
}

// append queues a frame.
func (w *frameWriter) append(word uint32, payload []byte) {
	w.frames++
	w.queued += headerSize + len(payload)
	w.total += uint64(headerSize + len(payload))
	last := len(w.queue) - 1
	if last < 0 || len(w.queue[last])+headerSize > chunkSize {
		last = w.addChunk()
	}
	chunk := binary.BigEndian.AppendUint32(w.queue[last], word)
	chunk = binary.BigEndian.AppendUint32(chunk, uint32(len(payload)))
	for {
		n := min(len(payload), chunkSize-len(chunk))
		w.queue[last] = append(chunk, payload[:n]...)
		if payload = payload[n:]; len(payload) == 0 {
			return
		}
		last = w.addChunk()
		chunk = w.queue[last]
	}
}

// addChunk begins a chunk, and returns its place in the queue.
func (w *frameWriter) addChunk() int {
	var chunk []byte
	if n := len(w.free); n > 0 {
		chunk, w.free = w.free[n-1], w.free[:n-1]
	} else {
		chunk = make([]byte, 0, helloRoom) // of a size that the worker has used already
	}
	w.queue = append(w.queue, chunk)
	return len(w.queue) - 1
}

// full is false: whoever queues too much waits in frame.
func (w *frameWriter) full() bool { return false }

// waitForRoom returns when more may be queued, or nothing will be written any more. It is
// goroutine-safe, and cheap if there is room.
func (w *frameWriter) waitForRoom() {
	if w.atLimit.Load() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.waitForRoomLocked()
	}
}

func (w *frameWriter) waitForRoomLocked() {
	for w.atLimit.Load() && w.err == nil {
		w.change.Wait()
	}
}

// noteRoom is called when what waits behind or in a write has changed.
func (w *frameWriter) noteRoom() {
	atLimit := w.queued >= w.limit
	if atLimit == w.atLimit.Load() {
		return
	}
	w.atLimit.Store(atLimit)
	if !atLimit {
		w.change.Broadcast()
	}
}

func (w *frameWriter) flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flushes++
	for end := w.total; w.writing && w.err == nil && w.written() < end; { // what others queue meanwhile may have no end
		w.change.Wait()
	}
	w.flushes--
	if w.writing {
		return w.err
	}
	return w.flushLocked()
}

// written is how many bytes have been written so far.
func (w *frameWriter) written() uint64 { return w.total - uint64(w.queued) }

// push has what is queued written, but does not wait for what another has begun to write.
func (w *frameWriter) push() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.writing {
		return w.err // it is taken along
	}
	return w.flushLocked()
}

// relieve goes on instead of whoever is writing, if that does not come to an end first.
func (w *frameWriter) relieve() error {
	w.relief = true
	for w.relief {
		w.change.Wait()
	}
	if !w.baton {
		return w.err
	}
	w.baton = false
	return w.flushLocked()
}

// flushLocked writes what is queued, and what is queued meanwhile. Nobody else must be
// writing.
func (w *frameWriter) flushLocked() error {
	w.writing, w.tired = true, false
	share := w.total + writersShare
	for len(w.queue) > 0 && w.err == nil {
		if w.relief {
			w.relief, w.tired, w.baton = false, false, true
			w.change.Broadcast()
			return nil
		}
		out := w.queue
		w.queue, w.frames = w.other, 0
		for i, chunk := range out {
			out[i] = nil
			if w.err == nil {
				w.err = w.writeLocked(chunk)
			}
		}
		w.other = out[:0]
		w.tired = w.written() >= share
	}
	w.writing, w.relief = false, false
	w.atLimit.Store(false)
	w.change.Broadcast()
	return w.err
}

// writeLocked writes a chunk, without holding the lock while it does.
func (w *frameWriter) writeLocked(chunk []byte) error {
	w.noteRoom()
	timed := w.timed
	w.mu.Unlock()
	var start time.Time
	if timed {
		start = time.Now()
	}
	err := w.write(chunk)
	if timed {
		w.took.since(start)
	}
	w.mu.Lock()
	w.queued -= len(chunk)
	w.noteRoom()
	if w.flushes > 0 {
		w.change.Broadcast()
	}
	if len(w.free) < chunksKept {
		w.free = append(w.free, chunk[:0])
	}
	return err
}

// write writes all of p, through the scheduler: the descriptor blocks.
func (w *frameWriter) write(p []byte) error {
	for len(p) > 0 {
		n, err := syscall.Write(w.fd, p)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return &writeError{err}
		}
		p = p[n:]
	}
	return nil
}

// writeError is a reply that could not be written: the parent is gone.
type writeError struct{ err error }

// Error implements error.
func (e *writeError) Error() string { return "rpc: write to the parent: " + e.err.Error() }

// Unwrap returns the cause, mostly an errno.
func (e *writeError) Unwrap() error { return e.err }
