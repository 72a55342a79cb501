package rpc

import (
	"context"
	"syscall"
	"time"

	"github.com/valyala/bytebufferpool"
	"golang.org/x/sys/unix"
)

// Handler answers a call: with a reply, which is copied before the handler is
// called again, or with an error, which the caller gets as a RemoteError. The
// request is a view that is valid until the handler returns. On AnyEvent's wires
// an error ends the process instead, as a Perl exception would; on AnyEventSync
// the calls behind it get no reply, even if their handlers are done.
//
// ctx ends at the call's deadline, if it has one. Under ServeGoroutines it also
// ends when the caller cancels the call, and when a reply cannot be written, the
// parent being gone, but not at an orderly shutdown; it must not be used after the handler has
// returned. Under ServeSync it ends when the handler returns, and a cancel comes too late for a
// call that has been begun, unless the handler waits in CallParent, Parts or SendPart, or, being one of Method.HandleAsync,
// for its answer.
type Handler func(ctx context.Context, request Payload) (Payload, error)

// ServerConfig configures a Server. The zero value is useful.
type ServerConfig struct {
	// Wire is what the parent speaks. 0: Evfork.
	Wire Wire
	// MaxFrame limits a payload in either direction, in bytes. 0: 64 MiB.
	MaxFrame int
	// FlushEach writes every reply at once. false: replies of handlers that take
	// less than 10 µs on the average are written once per batch of calls read.
	// Under ServeGoroutines such a reply waits while another call can be begun, and no longer than
	// the scheduler takes to give a goroutine its turn.
	FlushEach bool
	// MaxConcurrent limits the calls that ServeAsync has begun and that have not been
	// answered; beyond that up to 1 MiB of calls wait, for the sake of the cancels
	// behind them, and then it stops reading, and the pipe pushes back. On AnyEventSync a
	// reply that has to wait for its turn counts like a call. 0: no limit.
	MaxConcurrent int
	// MaxBuffered is how many bytes of replies and events may wait to be written, because
	// the parent does not read, before no other call is begun and nothing more
	// is read: then Event returns ErrFull under ServeAsync, and waits under
	// the others. Calls that were begun before can still be answered. 0: 1 MiB.
	MaxBuffered int
	// Window is how many bytes of parts of one call's request may have come and not been taken
	// by its handler, and one part more. A part counts for its length and 8 bytes. 0: 256 KiB.
	Window int
	// OnDrain is called by ServeAsync, on its loop, when Event or GoParent can be called again after
	// it has returned ErrFull. nil: nothing.
	OnDrain func()
	// Sentinels names errors that handlers may return, and those of the parent. nil: none.
	Sentinels Sentinels
	// Codec and Build are stated in the hello, and compared with the parent's: the
	// Serve method returns an error if that states others. Codec "" is "string"; Build
	// "" is not stated.
	Codec, Build string
	// Done is called when the input is at EOF, every call has been answered, and every call
	// to the parent has ended, before the Serve function returns. nil: nothing.
	Done func()
}

// Server is the child's side: it reads calls, has them handled, and writes
// replies and events. One of its Serve methods is called, once; events can be
// sent from the beginning.
type Server struct {
	config          ServerConfig
	maxFrame        uint32
	readFD, writeFD int
	hello           hello       // ours
	accepted        uint32      // calls so far, their ids on AnyEventSync
	order           *replyOrder // of AnyEventSync
	greeted         bool        // the parent's hello has come, or none is due
	parts           bool        // the parent takes partial replies
	timebase        timebase
	partsTable      partsTable
	upcalls         upcalls // to the parent
	hold            holdBack
	writer          *frameWriter
	out             sink

	poll func(fds []unix.PollFd, timeout int) (int, error) // in ms; another system's in tests
}

// sink is where frames go: a frameWriter, but the stream under ServeAsync.
type sink interface {
	// frame queues a frame; prompt means that it should not wait for others.
	frame(word uint32, payload []byte, prompt bool) error
	// full reports whether nothing should be queued that can wait.
	full() bool
	flush() error
}

// NewServer makes a server and greets the parent.
func NewServer(fds FDs, config ServerConfig) (*Server, error) {
	r, w := fds.FDs()
	s := &Server{config: config, maxFrame: maxFrame(config.MaxFrame), readFD: r, writeFD: w, poll: unix.Poll}
	s.writer = newFrameWriter(w, s.maxBuffered())
	s.out = s.writer
	s.order = newReplyOrder(s)
	s.upcalls.init(s)
	if config.Wire != Evfork {
		s.greeted = true
		s.upcalls.grant(0)
		return s, nil
	}
	s.hello = ourHello(config.Codec, config.Build)
	s.hello.window = windowOf(config.Window)
	s.timebase = newTimebase(time.Now())
	return s, s.writer.write(s.hello.append(make([]byte, 0, helloRoom)))
}

// Event sends an event, a STRING list, to the parent. It arrives there in its
// order among the replies. It is goroutine-safe and may block until the parent
// reads, except under ServeAsync, where it belongs to the loop's goroutine and
// returns ErrFull instead, without having sent it; OnDrain tells when to go on.
func (s *Server) Event(values ...string) error {
	b := bytebufferpool.Get()
	defer bytebufferpool.Put(b)
	b.B = AppendStrings(b.B, values...)
	return s.EventBytes(b.B)
}

// EventBytes is Event with a payload that has been encoded already.
func (s *Server) EventBytes(payload []byte) error {
	if s.out.full() {
		return ErrFull
	}
	return s.send(kindCall.word(eventID), payload, true)
}

// Flush has what is queued written at once. It waits until the parent's pipe has taken all
// of it, except under ServeAsync, where it belongs to the loop's goroutine and
// returns ErrFull if the pipe has not.
func (s *Server) Flush() error { return s.out.flush() }

// maxBuffered is ServerConfig.MaxBuffered, or its default.
func (s *Server) maxBuffered() int {
	if s.config.MaxBuffered <= 0 {
		return writerLimit
	}
	return s.config.MaxBuffered
}

func (s *Server) send(word uint32, payload []byte, prompt bool) error {
	if uint64(len(payload)) > uint64(s.maxFrame) {
		return ErrTooLarge
	}
	return s.out.frame(word, payload, prompt)
}

// answer sends the end of a call. An error of the handler becomes an error
// reply where the wire has one, and else the error of the whole server.
func (s *Server) answer(id uint32, reply Payload, err error, prompt bool) error {
	if err == nil {
		err = s.send(s.config.Wire.replyWord(id), reply, prompt)
		if err != ErrTooLarge {
			return err
		}
	}
	if s.config.Wire != Evfork {
		return err
	}
	return s.send(kindError.word(id), encodeRemoteError(err, s.config.Sentinels, int(s.maxFrame)), prompt)
}

// writeError is a reply that could not be written: the parent is gone.
type writeError struct{ err error }

// Error implements error.
func (e *writeError) Error() string { return "rpc: write to the parent: " + e.err.Error() }

// Unwrap returns the cause, mostly an errno.
func (e *writeError) Unwrap() error { return e.err }

// newDecoder decodes what the parent sends.
func (s *Server) newDecoder() decoder {
	return decoder{limit: s.maxFrame, hello: s.config.Wire == Evfork, lengthOnly: s.config.Wire == AnyEventSync}
}

// frameReader reads frames from a blocking descriptor.
type frameReader struct {
	fd      int
	buf     []byte
	decoder decoder
}

func (s *Server) newReader() frameReader {
	return frameReader{fd: s.readFD, buf: make([]byte, partialKept), decoder: s.newDecoder()}
}

// read reads once and feeds the decoder. false is the EOF; an EOF amid a frame
// is an error.
func (r *frameReader) read() (bool, error) {
	for {
		n, err := syscall.Read(r.fd, r.buf)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return false, &readError{err}
		case n > 0:
			r.decoder.feed(r.buf[:n])
			return true, nil
		case r.decoder.pending() > 0:
			return false, violation("the input ended in the middle of a frame, after %d bytes", r.decoder.pending())
		default:
			return false, nil
		}
	}
}

// readError is a read that failed, other than by the end of the input.
type readError struct{ err error }

// Error implements error.
func (e *readError) Error() string { return "rpc: read from the parent: " + e.err.Error() }

// Unwrap returns the cause, mostly an errno.
func (e *readError) Unwrap() error { return e.err }
