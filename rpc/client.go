package rpc

import (
	"time"

	"github.com/evfork/evfork/reactor"
)

// A Client calls functions in a child. Its methods belong to the loop's
// goroutine, except Call, CallBytes, CallStream and ShutdownWait, which are for all others, and NewCaller, which is
// goroutine-safe.
type Client struct {
	loop      *reactor.Loop
	transport Transport
	stream    *reactor.Stream
	config    Config
	maxFrame  uint32
	decoder   decoder
	calls     callTable
	sizes     requestSizes
	queue     callQueue // of Call and WaitReady
	hello     hello     // ours
	upcalls   childCalls

	timebase    timebase
	timer       *reactor.Timer // of the first deadline; nil until there is one
	armed       bool
	armedFor    time.Duration
	canceled    []Completion // of calls that Cancel has ended, and that have not been told
	untold      []uint32     // calls whose cancel has not been sent
	overdue     []uint32     // abandoned calls that the child has taken too long to answer, until judge has looked again
	understands struct{ metadata, cancel, credits bool }
	peerWindow  int64 // the credit for the parts of each call's request, the child says
	streams     streams
	news        streamNews // of Streams

	greeted  bool          // the child's hello has come, or none is due
	closing  bool          // Shutdown
	stopping bool          // and nothing is in flight any more
	broken   bool          // the child violated the protocol and is being put down
	unable   error         // why no more calls can be made; nil while they can
	writeErr error         // what writing has failed with
	failed   error         // what the connection has failed with that is not the other side's doing
	endErr   error         // it is gone
	result   error         // what ShutdownWait returns
	ended    chan struct{} // closed when result is final
}

// NewClient opens the transport. The error is the transport's, or ErrTooLarge if our
// own hello is longer than Config.MaxBuffered, and no callback follows it. Nor is the child stopped: whoever gives up stops it.
func NewClient(transport Transport, config Config) (*Client, error) {
	config = config.withDefaults()
	c := &Client{
		transport: transport,
		config:    config,
		maxFrame:  maxFrame(config.MaxFrame),
		calls:     newCallTable(config.Wire),
		ended:     make(chan struct{}),
	}
	c.decoder = decoder{limit: c.maxFrame, hello: config.Wire == Evfork}
	stream, err := transport.Open(reactor.StreamConfig{
		OnData:       c.onData,
		OnDrain:      c.onDrain,
		OnWriteError: c.onWriteError,
		OnClose:      c.onClose,
		HighWater:    min(config.MaxBuffered, highWater),
		MaxBuffered:  config.MaxBuffered,

		EdgeTriggered: true,
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
		c.initUpcalls()
		if err := c.notMade(stream.Write(c.hello.append(nil))); err != nil {
			stream.Close()
			return nil, err
		}
	} else {
		c.greet()
	}
	transport.OnEnd(c.end)
	return c, nil
}

func (c *Client) greet() {
	c.greeted = true
	c.transport.Ready()
}

// awaitsHello reports whether the child's hello has not come, and may.
func (c *Client) awaitsHello() bool { return !c.greeted && c.unable == nil }

// InFlight is the number of calls that have been made and have not ended,
// abandoned ones included. It does not say that the child lives: that of one that is
// gone is low.
func (c *Client) InFlight() int { return c.calls.count }
