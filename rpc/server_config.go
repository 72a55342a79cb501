package rpc

// ServerConfig configures a Server. The zero value is useful.
type ServerConfig struct {
	// Wire is what the parent speaks. 0: Evfork.
	Wire Wire
	// MaxFrame limits a payload in either direction, in bytes. 0: 64 MiB.
	MaxFrame int
	// FlushEach writes every reply at once. false: replies of handlers that take
	// less than 10 µs on the average are written once per batch of calls read; under
	// ServeGoroutines such a reply waits while another call can be begun, and no longer than
	// the scheduler takes to give a goroutine its turn.
	FlushEach bool
	// MaxConcurrent limits the calls that ServeAsync has begun and that have not been
	// answered. Beyond that it reads up to 1 MiB of calls, for the sake of the cancels
	// behind them, and then nothing, so that the pipe pushes back. On AnyEventSync a
	// reply that has to wait for its turn counts like a call. 0: no limit.
	MaxConcurrent int
	// MaxBuffered is how many bytes of replies and events may wait to be written, because
	// the parent does not read, before no other call is begun and nothing more
	// is read. Then Event returns ErrFull under ServeAsync, and waits under
	// the others. Calls that were begun before can still be answered. 0: 1 MiB.
	MaxBuffered int
	// Window limits the parts of one call's request that have come and have not been taken by its
	// handler: one more may come while they have less than so many bytes. A part counts for its
	// length and 8 bytes. 0: 256 KiB.
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

// maxBuffered is ServerConfig.MaxBuffered, or its default.
func (s *Server) maxBuffered() int {
	if s.config.MaxBuffered <= 0 {
		return writerLimit
	}
	return s.config.MaxBuffered
}
