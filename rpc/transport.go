package rpc

import (
	"errors"

	"github.com/evfork/evfork/reactor"
)

// Transport is the parent's side of a connection to something that serves
// calls. *child.Process is one; NewStreamTransport makes one of descriptors. All
// methods belong to the loop's goroutine.
type Transport interface {
	// Open claims the transport and returns its stream, once.
	Open(reactor.StreamConfig) (*reactor.Stream, error)
	// Ready says that the other side has completed its handshake.
	Ready()
	// Stop ends the other side gracefully, within the transport's patience.
	Stop() error
	// Abort ends it at once; reason becomes part of the cause given to OnEnd.
	Abort(reason error)
	// OnEnd has fn called once, when nothing will be delivered any more. A cause
	// with a method Clean() bool that returns true was an orderly end.
	OnEnd(fn func(cause error))
}

// FDs is the child's side of a connection: blocking descriptors to read calls
// from and to write replies to. *child.Worker is one. ServeAsync has closed them when it returns, unless NewServer has failed, or
// its loop has not taken them: it was closed before, or cannot watch one, as epoll a regular file. The other servers leave that to
// the caller.
type FDs interface {
	FDs() (readFD, writeFD int)
}

// ErrPeerClosed is the cause given by a StreamTransport whose other side ended
// its sending in an orderly way.
var ErrPeerClosed error = &peerClosed{}

// peerClosed is ErrPeerClosed's type.
type peerClosed struct{}

// Error implements error.
func (*peerClosed) Error() string { return "rpc: the other side has closed the connection" }

// Clean tells a Client that the other side has ended in an orderly way.
func (*peerClosed) Clean() bool { return true }

// StreamTransport is a Transport without a process: a socket, a socketpair, or
// two pipes whose other ends somebody serves.
type StreamTransport struct {
	loop            *reactor.Loop
	readFD, writeFD int
	stream          *reactor.Stream
	reason          error
	onEnd           func(cause error)
}

// NewStreamTransport makes a transport of descriptors, which become its own when
// it is opened. They may be the same.
func NewStreamTransport(loop *reactor.Loop, readFD, writeFD int) *StreamTransport {
	return &StreamTransport{loop: loop, readFD: readFD, writeFD: writeFD}
}

// Open implements Transport. The end of the other side shows as an EOF, a write error, or an error of
// the stream; each closes the stream, and that is the end of the transport.
func (t *StreamTransport) Open(config reactor.StreamConfig) (*reactor.Stream, error) {
	if t.stream != nil {
		return nil, errors.New("rpc: transport is already in use")
	}
	onEOF, onWriteError, onClose := config.OnEOF, config.OnWriteError, config.OnClose
	config.OnEOF = func() {
		if onEOF != nil {
			onEOF()
		}
		t.stream.Close()
	}
	config.OnWriteError = func(err error) {
		if onWriteError != nil {
			onWriteError(err)
		}
		t.stream.Drain() // what was answered before
		if !t.stream.Closed() {
			t.Abort(err) // it may never hang up
		}
	}
	config.OnClose = func(err error) {
		if onClose != nil {
			onClose(err)
		}
		t.end(err)
	}
	s, err := t.loop.NewStream(t.readFD, t.writeFD, config)
	t.stream = s
	return s, err
}

func (t *StreamTransport) end(err error) {
	cause := t.reason
	if err != nil && !errors.Is(cause, err) {
		cause = errors.Join(cause, err)
	}
	if cause == nil {
		cause = ErrPeerClosed
	}
	if t.onEnd != nil {
		t.onEnd(cause)
	}
}

// Ready implements Transport.
func (t *StreamTransport) Ready() {}

// Stop implements Transport: it half-closes the connection.
func (t *StreamTransport) Stop() error {
	t.stream.CloseWrite()
	return nil
}

// Abort implements Transport.
func (t *StreamTransport) Abort(reason error) {
	if t.reason == nil {
		t.reason = reason
	}
	t.stream.Close()
}

// OnEnd implements Transport.
func (t *StreamTransport) OnEnd(fn func(cause error)) { t.onEnd = fn }

// isClean reports whether a transport's cause was an orderly end.
func isClean(cause error) bool {
	var c interface{ Clean() bool }
	return errors.As(cause, &c) && c.Clean()
}
