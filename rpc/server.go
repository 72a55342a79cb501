package rpc

import (
	"cmp"
	"context"
	"time"

	"github.com/valyala/bytebufferpool"
	"golang.org/x/sys/unix"
)

// Handler answers a call: with a reply, which is copied before the handler is
// called again, or with an error, which the caller gets as a RemoteError. The
// request is a view that is valid until the handler returns. On AnyEvent's wires
// an error ends the process instead, as a Perl exception would; on AnyEventSync
// the calls behind it get no reply, even if their handlers are done. One that calls runtime.Goexit has failed, too; except
// under ServeGoroutines that is also the end of the server, whose goroutine it is. A worker exits with that, if it is the function given to
// child.Main that serves; whoever else calls ServeSync has to exit, or to close the descriptors, in a deferred function: until then the parent waits.
//
// ctx ends at the call's deadline, if it has one, and
//
//   - under ServeGoroutines when the caller cancels the call, and when a reply cannot be
//     written, the parent being gone, but not at an orderly shutdown;
//   - under ServeSync when the handler returns. A cancel comes too late for a call that has
//     been begun, unless its handler waits for the parent, in CallParent, Parts or SendPart,
//     or, being one of Method.HandleAsync, for its answer.
//
// It must not be used after the handler has returned, nor must what context.WithoutCancel makes of it:
// under ServeSync it may be that of the next call then.
type Handler func(ctx context.Context, request Payload) (Payload, error)

// Server is the child's side: it reads calls, has them handled, and writes
// replies and events. One of its Serve methods is called, once; events can be
// sent from the beginning. Under ServeAsync its methods belong to the loop's goroutine; under the
// others Event, EventBytes, Flush and Context are goroutine-safe.
type Server struct {
	config          ServerConfig
	maxFrame        uint32
	readFD, writeFD int
	hello           hello       // ours
	accepted        uint32      // calls so far, their ids on AnyEventSync
	order           *replyOrder // of AnyEventSync
	greeted         bool        // the parent's hello has come, or none is due
	takesParts      bool        // the parent takes parts of replies
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
// returns ErrFull if the pipe has not: the rest leaves by itself when there is room, of which OnDrain does not tell.
func (s *Server) Flush() error { return s.out.flush() }

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

// newDecoder decodes what the parent sends.
func (s *Server) newDecoder() decoder {
	return decoder{limit: s.maxFrame, hello: s.config.Wire == Evfork, lengthOnly: s.config.Wire == AnyEventSync}
}

// flushed has all written that is queued, also by goroutines which are no handlers': behind the end of a Serve method the worker exits.
func (s *Server) flushed(err error) error {
	flushErr := s.writer.flush()
	return cmp.Or(err, flushErr)
}

// finish ends a Serve method: err is nil at the end of the input.
func (s *Server) finish(err error) error {
	if err == nil && s.config.Done != nil {
		s.config.Done()
	}
	return err
}
