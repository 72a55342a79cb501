package reactor

import (
	"golang.org/x/sys/unix"
)

const (
	// maxTransfer bounds one read or write: the garbage collector waits for it.
	maxTransfer = 256 << 10

	// maxVectors bounds one writev; with chunks of 64 kB it is never the limit.
	maxVectors = 16

	defaultHighWater = 1 << 20
)

// StreamConfig configures a Stream. All callbacks run on the loop, never inside
// a call of one of the stream's methods other than Drain, and none after
// OnClose. A nil callback is not called.
type StreamConfig struct {
	// OnData gets bytes that were read. They are valid until it returns. If the
	// stream has a Reader, or PipeTo is in force, these get them instead.
	OnData func(data []byte)
	// OnEOF is called once when the other side has ended its writing, after the
	// last OnData. The write side stays open until CloseWrite or Close. A connection
	// that the other side resets ends so, too: a message that the EOF ends may be only a part,
	// unless it says how long it is. OnClose tells then that it was a reset.
	OnEOF func()
	// OnDrain is called when Buffered has come down to LowWater after it had
	// reached HighWater, or a write was refused with ErrBufferFull because of what was queued. A stream that
	// is closed by then, as one that only writes is with its last byte, calls OnClose instead.
	OnDrain func()
	// OnWriteError is called once if the other side cannot be written to any
	// more (EPIPE, or why a socket is gone). What was queued is dropped; reading goes on to the EOF.
	OnWriteError func(err error)
	// OnTimeout is called when a timeout set by SetIdleTimeout, SetReadTimeout or
	// SetWriteTimeout has passed; it starts anew then. nil: the stream is closed,
	// with an error that is ErrTimeout.
	OnTimeout func(which Timeout)
	// OnClose is called exactly once, last: err is nil after both sides ended
	// in an orderly way or after Close, and else what went wrong. An error of writing by which
	// queued bytes were lost is what went wrong, also if Close came after it, and so is a reset that was met before (ECONNRESET,
	// or what else the system says), except after CloseAfterFlush, and of a Unix socket: that has
	// delivered all, and is reset if the other side closes it with our bytes unread. The end
	// of the loop is always ErrClosed.
	OnClose func(err error)

	// HighWater is when Congested becomes true, in bytes. 0: 1 MiB.
	HighWater int
	// LowWater is when it becomes false again. 0: a quarter of HighWater.
	LowWater int
	// MaxBuffered is a hard limit to the bytes queued: Write and Commit return
	// ErrBufferFull beyond it. 0: none.
	MaxBuffered int

	// EdgeTriggered says that all who write to the pipe that is read write bytes, and not packets
	// (O_DIRECT, pipe(2)), of which only the first would be read before the next is written. So the loop need
	// hear only of bytes that come, and not again and again of those that are there, which spares the
	// kernel some 100 ns a wake-up (epoll). It makes no difference to what is not a pipe, or on other systems.
	EdgeTriggered bool
}

// side is the state of one direction of a stream.
type side uint8

const (
	sideAbsent side = iota // the stream has no such direction
	sideOpen
	sideFlushing // write side: half-closed by us, bytes still queued
	sideDone     // read side: at EOF; write side: shut
)

// A Stream reads and writes a pipe, a socket or a pair of pipes without
// blocking. Nothing written is lost, doubled or reordered while the stream is
// open; what is queued during an iteration leaves in one system call at its end,
// and of more than 8 kB (SetCork), or 32 kB of pieces that are not small, the beginning leaves
// while the rest is queued. A pipe of Linux that has the default capacity, 64 KiB,
// and has been full, is given 128 KiB if the user may have them.
// An idle stream holds no buffer. All methods belong to the loop's goroutine.
type Stream struct {
	loop   *Loop
	config StreamConfig
	reader FDWatcher
	writer FDWatcher // for HangUp, and for Write while the kernel's buffer is full
	queue  writeQueue
	cork   int32 // so much of small pieces is held back
	notice int32 // below this many bytes queued, Commit has nothing to look at

	readSocket  bool // the sides may be of two kinds
	writeSocket bool
	wideRead    bool // it is a socket, or a pipe that has been full, and is as large as it will be
	wideWrite   bool

	read   side
	pauses pauseReason // 0: reading
	write  side

	blocked bool // the kernel's buffer is full: wait for Write
	dirty   bool // in loop.dirty
	high    bool // HighWater was reached, LowWater not yet

	ended    bool // the EOF has been delivered
	closed   bool // both descriptors are gone, OnClose is owed or made
	deferred bool // in loop.deferred
	drained  bool // OnDrain is owed
	reset    bool // err is that of a connection that is gone, by which maybe nothing is lost

	accepted uint64   // bytes taken by Write and Commit
	unread   int      // of these, known to lie in the kernel when the write side ended
	writeErr *OpError // why the write side ended, if not by CloseWrite or Close; or with what an early write failed
	err      error    // for OnClose

	extra      *streamExtra // nil until one of the features in it is used
	prev, next *Stream      // in loop.streams
}

// NewStream makes a stream that reads readFD and writes writeFD; they may be the
// same (a socket), or one of them -1. They become the stream's own and
// non-blocking, unless an error is returned, which leaves them as they were:
// ErrInvalid if there is neither, ErrClosed on a closed loop, else an *OpError.
func (l *Loop) NewStream(readFD, writeFD int, config StreamConfig) (*Stream, error) {
	if l.closing {
		return nil, ErrClosed
	}
	if readFD < 0 && writeFD < 0 {
		return nil, ErrInvalid
	}
	if config.HighWater <= 0 {
		config.HighWater = defaultHighWater
	}
	if config.LowWater <= 0 {
		config.LowWater = config.HighWater / 4
	}
	s := &Stream{loop: l, config: config}
	s.SetCork(0)
	s.reader.init(l, readFD, Read, s.onReadable)
	s.writer.init(l, writeFD, HangUp, s.onWritable)
	if blocked, err := s.start(); err != nil {
		s.reader.Stop()
		s.writer.Stop()
		for _, fd := range blocked {
			// Whoever shares a terminal, or reads it instead, would run into EAGAIN.
			_ = unix.SetNonblock(fd, false) // as it was: no error is possible
		}
		return nil, err
	}
	l.streams.add(s)
	return s, nil
}

// start begins with both sides. blocked are the descriptors that it has made non-blocking.
func (s *Stream) start() (blocked []int, err error) {
	if s.reader.fd >= 0 {
		s.read = sideOpen
		s.readSocket = isSocket(s.reader.FD())
		s.wideRead = s.readSocket
		if s.config.EdgeTriggered && isPipe(s.reader.FD()) {
			s.reader.edge, s.reader.interest = true, Read|HangUp
		}
		if blocked, err = s.begin(&s.reader, blocked); err != nil {
			return blocked, err
		}
	}
	if s.writer.fd >= 0 {
		s.write = sideOpen
		s.writeSocket = isSocket(s.writer.FD())
		s.wideWrite = s.writeSocket
		// Waiting for the other side to vanish is no reason for Run to stay.
		s.writer.Unref()
		blocked, err = s.begin(&s.writer, blocked)
	}
	return blocked, err
}

// begin watches one side, and adds its descriptor to blocked if that was blocking.
func (s *Stream) begin(w *FDWatcher, blocked []int) ([]int, error) {
	fd := w.FD()
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err == nil && flags&unix.O_NONBLOCK == 0 {
		blocked = append(blocked, fd)
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		return blocked, opError("set non-blocking", fd, err)
	}
	return blocked, w.Start()
}

func isSocket(fd int) bool {
	_, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	return err == nil
}

// isPipe reports whether a short read of fd has emptied it, if no packets are written to it.
func isPipe(fd int) bool {
	var st unix.Stat_t
	return unix.Fstat(fd, &st) == nil && uint32(st.Mode)&unix.S_IFMT == unix.S_IFIFO
}

func (s *Stream) describe() (string, int) { return "stream", max(s.reader.FD(), s.writer.FD()) }

// Loop returns the stream's loop.
func (s *Stream) Loop() *Loop { return s.loop }

// FDs returns the descriptors; -1 for a side that is absent or closed. A socket is
// both of them until the stream is closed, also if one side has ended. They stay the stream's.
func (s *Stream) FDs() (readFD, writeFD int) { return s.reader.FD(), s.writer.FD() }

// Closed reports whether the stream is closed for good.
func (s *Stream) Closed() bool { return s.closed }

// streamList links the open streams, for Close and Stats.
type streamList struct{ first *Stream }

func (l *streamList) add(s *Stream) {
	s.next = l.first
	if l.first != nil {
		l.first.prev = s
	}
	l.first = s
}

func (l *streamList) remove(s *Stream) {
	if s.prev != nil {
		s.prev.next = s.next
	} else if l.first == s {
		l.first = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	}
	s.prev, s.next = nil, nil
}
