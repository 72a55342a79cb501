package rpc

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/evfork/evfork/reactor"
)

// Config configures a Client. The zero value is useful for children that
// report no events.
type Config struct {
	// Wire is what the other side speaks. 0: Evfork.
	Wire Wire
	// OnEvent gets the child's events, in their order among the replies. The
	// payload is a view. nil: an event is a protocol violation.
	OnEvent func(event Payload)
	// OnError is called if the child ends otherwise than in an orderly way, or
	// with calls lost, after these have ended. The error is a *LostError.
	OnError func(err error)
	// OnDestroy is called when every call has been answered and the child is
	// gone. Exactly one of OnError and OnDestroy is called, last.
	OnDestroy func()

	// MaxFrame limits a payload in either direction, in bytes. 0: 64 MiB.
	MaxFrame int
	// MaxInFlight limits the calls without an end. 0: 65,536.
	MaxInFlight int
	// MaxBuffered limits the bytes of calls that the child's pipe has not yet
	// taken. 0: 64 MiB, and at least one frame.
	MaxBuffered int

	// AbandonTimeout is how long the child may take to answer a call that was
	// cancelled, or whose deadline has passed, before it is put down with
	// ErrUnresponsive; its other calls are lost. 0: as long as it likes. The answer
	// is dropped in any case.
	AbandonTimeout time.Duration

	// Sentinels names errors that the child's handlers may return. nil: none.
	Sentinels Sentinels
	// Codec and Build are stated in the hello, and compared with the child's: one
	// that states others is put down. Codec "" is "string"; Build "" is not stated.
	Codec, Build string
}

const (
	defaultMaxInFlight = 1 << 16
	defaultMaxBuffered = 64 << 20

	// highWater is how many bytes of calls may be queued before Call waits, and
	// never more than MaxBuffered: OnDrain has to mean that there is room.
	highWater = 1 << 20
)

// A Client calls functions in a child. Its methods belong to the loop's
// goroutine, except Call, CallBytes and ShutdownWait, which are for all others.
type Client struct {
	loop      *reactor.Loop
	transport Transport
	stream    *reactor.Stream
	config    Config
	maxFrame  uint32
	decoder   decoder
	calls     callTable
	queue     callQueue // of Call and WaitReady
	hello     hello     // ours

	timebase    timebase
	timer       *reactor.Timer // of the first deadline; nil until there is one
	armed       bool
	armedFor    time.Duration
	canceled    []Completion // of calls that Cancel has ended, and that have not been told
	untold      []uint32     // calls whose cancel has not been sent
	understands struct{ metadata, cancel, credits bool }
	peerWindow  int64 // the credit for the parts of each call's request, the child says
	streams     streams
	news        streamNews // of Streams

	greeted  bool          // the child's hello has come, or none is due
	closing  bool          // Shutdown
	stopping bool          // and nothing is in flight any more
	broken   bool          // the child violated the protocol and is being put down
	unable   error         // why no more calls can be made; nil while they can
	endErr   error         // it is gone
	result   error         // what ShutdownWait returns
	ended    chan struct{} // closed when result is final
}

// NewClient opens the transport. The error is the transport's, and no callback
// follows it.
func NewClient(transport Transport, config Config) (*Client, error) {
	if config.MaxInFlight <= 0 {
		config.MaxInFlight = defaultMaxInFlight
	}
	c := &Client{
		transport: transport,
		config:    config,
		maxFrame:  maxFrame(config.MaxFrame),
		calls:     newCallTable(config.Wire),
		ended:     make(chan struct{}),
	}
	if config.MaxBuffered <= 0 {
		config.MaxBuffered = max(defaultMaxBuffered, int(c.maxFrame)+headerSize)
	}
	c.decoder = decoder{limit: c.maxFrame, hello: config.Wire == Evfork}
	stream, err := transport.Open(reactor.StreamConfig{
		OnData:       c.onData,
		OnDrain:      c.onDrain,
		OnWriteError: c.onWriteError,
		HighWater:    min(config.MaxBuffered, highWater),
		MaxBuffered:  config.MaxBuffered,
	})
	if err != nil {
		return nil, err
	}
	c.stream, c.loop = stream, stream.Loop()
	c.queue.init(c)
	c.news.init(c)
	c.timebase = newTimebase(c.loop.Now())
	if config.Wire == Evfork {
		c.hello = ourHello(config.Codec, config.Build)
		if err := stream.Write(c.hello.append(nil)); err != nil {
			stream.Close()
			return nil, err
		}
	} else {
		c.greet()
	}
	transport.OnEnd(c.end)
	return c, nil
}

// Go calls the child's function with a STRING list of arguments. It queues the
// call and returns; done is called once, with the reply, which is a view, or
// with the error that ended the call. An error of Go itself (ErrFull,
// ErrShutdown, ErrTooLarge, or what became of the child) means that the call was
// not made. A nil done ignores how the call ends.
func (c *Client) Go(done func(reply Payload, err error), args ...string) error {
	return c.GoTo(callbackFunc(done), args...)
}

// GoBytes is Go with a payload that has been encoded already.
func (c *Client) GoBytes(done func(reply Payload, err error), payload []byte) error {
	return c.GoBytesTo(callbackFunc(done), payload)
}

// GoTo is Go with an interface instead of a func: nothing is allocated, not even
// a closure of the caller's. A nil Completion ignores how the call ends.
func (c *Client) GoTo(to Completion, args ...string) error {
	if err := c.refusal(); err != nil {
		return err
	}
	buf := c.stream.AppendBuffer()
	start := len(buf)
	buf = AppendStrings(append(buf, noHeader[:c.config.Wire.callHeaderSize()]...), args...)
	_, err := c.send(kindCall, buf, start, to)
	return err
}

// GoBytesTo is GoBytes with an interface instead of a func. It does not allocate.
func (c *Client) GoBytesTo(to Completion, payload []byte) error {
	if err := c.refusal(); err != nil {
		return err
	}
	buf := c.stream.AppendBuffer()
	start := len(buf)
	buf = append(append(buf, noHeader[:c.config.Wire.callHeaderSize()]...), payload...)
	_, err := c.send(kindCall, buf, start, to)
	return err
}

// noHeader is room for a header that is filled in when the payload is known.
const noHeader = "\x00\x00\x00\x00\x00\x00\x00\x00"

// refusal is why a call cannot be made now, or nil.
func (c *Client) refusal() error {
	if c.unable != nil {
		return c.unable
	}
	if c.calls.count >= c.config.MaxInFlight {
		return ErrFull
	}
	return nil
}

// send completes the header of the frame at buf[start:], which was encoded in
// the stream's own buffer, and queues it, or rolls it back.
func (c *Client) send(k kind, buf []byte, start int, to Completion) (id uint32, err error) {
	header := c.config.Wire.callHeaderSize()
	size := len(buf) - start - header
	if uint64(size) > uint64(c.maxFrame) {
		c.stream.Commit(buf[:start])
		return 0, ErrTooLarge
	}
	id = c.calls.reserve()
	if header == lengthSize {
		binary.BigEndian.PutUint32(buf[start:], uint32(size))
	} else {
		binary.BigEndian.PutUint64(buf[start:], uint64(k.word(id))<<32|uint64(size))
	}
	if err := c.stream.Commit(buf); err != nil {
		return 0, c.notQueued(err)
	}
	if to == nil {
		to = callbackFunc(nil)
	}
	c.calls.add(id, to, c.stream.Accepted())
	return id, nil
}

// notQueued translates the stream's refusal of a frame.
func (c *Client) notQueued(err error) error {
	if err != reactor.ErrBufferFull {
		return err
	}
	if c.stream.Buffered() == 0 {
		return ErrTooLarge // waiting would not help
	}
	return ErrFull
}

// InFlight is the number of calls that have been made and have not ended,
// abandoned ones included.
func (c *Client) InFlight() int { return c.calls.count }

// Shutdown takes no more calls. The child finishes those it has, answers, and
// exits; then OnDestroy is called. Streamed calls go on to their end, with all their parts. A child that does not exit by itself once it
// has answered is ended by the transport (for processes: the ladder).
func (c *Client) Shutdown() {
	if c.closing || c.endErr != nil {
		return
	}
	c.closing = true
	c.refuse(ErrShutdown)
	c.closeInput()
	c.checkDone()
}

// checkDone stops the child when it has nothing left to do for us.
func (c *Client) checkDone() {
	if c.closing && !c.stopping && c.calls.count == 0 && c.endErr == nil {
		c.stopping = true
		c.transport.Stop()
	}
}

func (c *Client) greet() {
	c.greeted = true
	c.transport.Ready()
}

func (c *Client) onData(data []byte) {
	c.decoder.feed(data)
	for !c.broken && c.decoder.next() {
		if err := c.frame(c.decoder.word, c.decoder.payload); err != nil {
			c.violated(err)
		}
	}
	if c.decoder.err != nil {
		c.violated(c.decoder.err)
	}
	c.queue.serve()
	c.checkDone()
}

// onWriteError means that the child is going. Calls that wait for room learn from
// its end why.
func (c *Client) onWriteError(err error) {
	if c.unable == nil {
		c.unable = &LostError{Cause: err}
	}
}

// isGoing reports whether no call can be made any more, and the end of the client,
// which tells the reason, has yet to come.
func (c *Client) isGoing() bool { return c.unable != nil && c.endErr == nil && !c.closing }

// refuse takes no more calls, and ends those that were waiting for room.
func (c *Client) refuse(err error) {
	c.unable = err
	c.queue.refuse(err)
}

func (c *Client) onDrain() {
	c.tellCancels()
	c.serveStreams()
	c.queue.serve()
}

// violated puts down a child that cannot be understood any more. Its calls end
// when it is gone.
func (c *Client) violated(err error) {
	if !c.broken {
		c.broken = true
		c.transport.Abort(err)
	}
}

// frame acts on one frame of the child.
func (c *Client) frame(word uint32, payload Payload) error {
	if !c.greeted {
		return c.meet(word, payload)
	}
	k, id := c.config.Wire.split(word)
	switch k {
	case kindCall:
		if id == eventID {
			return c.event(payload)
		}
	case kindError:
	case kindPart:
		return c.part(id, payload)
	case kindCredit:
		return c.creditCame(id, payload)
	case kindExtension:
		return nil
	default:
		return violation("frame of unknown kind %d", k)
	}
	to := c.takeAnswered(id)
	if to == nil {
		text := printable(appendFrame(nil, word, payload))
		return &ProtocolError{What: fmt.Sprintf("reply to call %d, which is not in flight", id), Text: text}
	}
	if k == kindError {
		to.Complete(nil, decodeRemoteError(payload, c.config.Sentinels))
	} else {
		to.Complete(payload, nil)
	}
	return nil
}

// meet takes the child's hello.
func (c *Client) meet(word uint32, payload Payload) error {
	theirs, err := parseHello(word, payload)
	if err == nil {
		err = c.hello.meet(&theirs)
	}
	if err != nil {
		return err
	}
	c.understands.metadata = theirs.has(featureMetadata)
	c.understands.cancel = theirs.has(featureCancel)
	c.understands.credits = c.understands.metadata && theirs.has(featureCredits)
	c.peerWindow = theirs.window
	c.greet()
	for i := range c.calls.entries {
		if e := &c.calls.entries[i]; e.to != nil && e.isAbandoned() {
			c.sendCancel(e.id) // it ended before the child could be told
		}
	}
	c.serveStreams()
	return nil
}

func (c *Client) event(payload Payload) error {
	if c.config.OnEvent == nil {
		return violation("an event came, and Config.OnEvent is not set")
	}
	c.config.OnEvent(payload)
	return nil
}

// end is the transport's last word: nothing more will come.
func (c *Client) end(cause error) {
	if c.endErr != nil {
		return
	}
	n := c.decoder.pending()
	truncated := n > 0 && !c.broken
	if truncated {
		cause = fmt.Errorf("%w; its output ended in the middle of a frame, after %d bytes", cause, n)
	}
	c.stopTimer()
	consumed := c.stream.Accepted() - uint64(c.stream.Unread())
	lost := c.calls.drain()
	c.endErr = &LostError{Cause: cause}
	c.unable = c.endErr // a better reason than any before
	if len(lost) > 0 || !c.closing && (truncated || !isClean(cause)) {
		c.result = &LostError{Cause: cause, Started: len(lost) > 0}
	}
	// Deferred, because a panic in a callback must not keep others waiting.
	defer c.report()
	defer c.settle()
	defer c.endCanceled()
	c.lose(lost, cause, consumed)
}

// lose ends the calls in flight, of which the child has read the first consumed
// bytes.
func (c *Client) lose(lost []call, cause error, consumed uint64) {
	defer func() {
		if len(lost) > 0 { // a callback has panicked
			c.lose(lost, cause, consumed)
		}
	}()
	for len(lost) > 0 {
		l := lost[0]
		lost = lost[1:]
		l.to.Complete(nil, &LostError{Cause: cause, Started: l.end <= consumed})
	}
}

// settle lets those go who wait for room or for the end.
func (c *Client) settle() {
	close(c.ended)
	c.loop.Yielding()
	c.refuse(c.endErr)
}

// report makes the one callback that ends the client.
func (c *Client) report() {
	switch {
	case c.result == nil && c.config.OnDestroy != nil:
		c.config.OnDestroy()
	case c.result != nil && c.config.OnError != nil:
		c.config.OnError(c.result)
	}
}
