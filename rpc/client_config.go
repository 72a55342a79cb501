package rpc

import "time"

// Config configures a Client. The zero value is useful for children that
// report no events.
type Config struct {
	// Wire is what the other side speaks. 0: Evfork.
	Wire Wire
	// OnEvent gets the child's events, in their order among the replies. The
	// payload is a view. nil: an event is a protocol violation.
	OnEvent func(event Payload)
	// OnCall begins to answer a call that the child makes (CallParent, Server.GoParent), as
	// ServeAsync has calls begun in a child: on the loop, by calling done, before
	// or after it returns. It must not block, and not wait for a call to the child. A
	// Mux's Async is one. A panic is the loop's matter, like that of any other callback: it
	// is not the child's. nil: a child that makes calls is told that nobody takes them.
	OnCall AsyncHandler
	// MaxUpcalls limits the calls of the child without an answer. The hello states it; a
	// child that does not keep to it violates the protocol. 0: 64.
	MaxUpcalls int
	// OnError is called if the child ends otherwise than in an orderly way, or
	// with calls lost, after these have ended: until then, in their callbacks, Go returns
	// the error of the child already, and InFlight is low. The error is a *LostError. An end after the
	// connection has failed here, as by a callback's panic that the loop survives, is not orderly before Shutdown.
	OnError func(err error)
	// OnDestroy is called when every call has been answered and the child is
	// gone, also if it has exited with code 0 before Shutdown. Exactly one of OnError and
	// OnDestroy is called, last: who replaces children does it in both.
	OnDestroy func()

	// MaxFrame limits a payload in either direction, in bytes. What is said of a call with a deadline, or in parts, is in its
	// payload: 50 bytes at most. 0: 64 MiB.
	MaxFrame int
	// MaxInFlight limits the calls without an end. 0: 65,536.
	MaxInFlight int
	// MaxBuffered limits the bytes of calls that the child's pipe has not yet
	// taken, and those of GoStream that wait for its hello. 0: 64 MiB, and at least one frame.
	// Our own hello, of some 200 bytes, has to fit.
	MaxBuffered int

	// AbandonTimeout is how long the child may take to answer a call that was
	// cancelled, or whose deadline has passed, before it is put down with
	// ErrUnresponsive; its other calls are lost. 0: as long as it likes. The answer
	// is dropped in any case.
	AbandonTimeout time.Duration

	// Sentinels names errors that the child's handlers, or OnCall's, may return. nil: none.
	Sentinels Sentinels
	// Codec and Build are stated in the hello, and compared with the child's: one
	// that states others is put down. Codec "" is "string"; Build "" is not stated.
	Codec, Build string
}

const (
	defaultMaxInFlight = 1 << 16
	defaultMaxBuffered = 64 << 20
	defaultMaxUpcalls  = 64

	// highWater is how many bytes of calls may be queued before Call waits, and
	// never more than MaxBuffered: OnDrain has to mean that there is room.
	highWater = 1 << 20
)

// withDefaults puts values in the place of zeros.
func (c Config) withDefaults() Config {
	if c.MaxInFlight <= 0 {
		c.MaxInFlight = defaultMaxInFlight
	}
	if c.MaxBuffered <= 0 {
		c.MaxBuffered = max(defaultMaxBuffered, int(maxFrame(c.MaxFrame))+headerSize)
	}
	if c.MaxUpcalls <= 0 {
		c.MaxUpcalls = defaultMaxUpcalls
	}
	// More have no ids, and the child may not be able to read the number.
	c.MaxUpcalls = min(c.MaxUpcalls, int(Evfork.idMask()))
	return c
}
