package sock

import (
	"container/list"
	"net"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// stagger is how long an address may take before the next one is tried beside it
// (RFC 8305, section 5).
const stagger = 250 * time.Millisecond

// DialConfig configures Dial. The zero value is useful.
type DialConfig struct {
	// Timeout is for everything from the look-up of the name on. 0: as long as
	// the resolver and the kernel take, which can be minutes.
	Timeout time.Duration
	// LocalAddr is what the socket is bound to before it connects. Addresses of
	// the other version of IP are not tried. The zero value: the system chooses.
	LocalAddr netip.AddrPort
	// Delay leaves Nagle's algorithm on. Go's net, too, turns it off by default.
	Delay bool
	// KeepAlive is for TCP connections.
	KeepAlive KeepAlive
	// Resolver looks up names. nil: net.DefaultResolver.
	Resolver *net.Resolver
}

// A Dialing is a dial under way. All methods belong to the loop's goroutine.
type Dialing struct {
	state   *state
	element *list.Element // of state.open; nil: it has ended
	ended   *list.Element // of state.owed, when the loop has ended it
	network network
	address string
	config  DialConfig
	done    func(*Conn, error)

	lookup   *Resolution
	timeout  *reactor.Timer // nil: none
	next     *reactor.Timer // when the next address is tried; nil until needed
	rest     []Addr         // not tried yet
	attempts []*attempt     // under way
	failed   failures
}

// Dial connects to an address of network "tcp", "tcp4", "tcp6" or "unix" without
// blocking, and calls done once: with a connection, or with an *Error that has the
// reason of every address that was tried. What done may do with the connection is
// documented at Conn. If Dial itself returns an error, done is not called.
//
// The loop's Run does not return while a dial is under way; the end of the loop (Close,
// Shutdown, or the panic of a callback) ends it with reactor.ErrClosed.
//
// A host name is looked up as Resolve does it, on a goroutine. An IP literal, an
// empty host (this machine) and a path need none. Of several addresses, versions
// of IP alternating, the next is tried when one has failed or has taken longer
// than 250 ms; the first connection that comes about wins, and the other attempts
// are given up ("happy eyeballs", RFC 8305).
//
// Connecting to a Unix socket whose backlog is full is repeated until there is room.
// A TCP socket that the kernel has connected to itself (which happens when
// nobody listens on a local port of the range for clients) counts as refused.
func Dial(loop *reactor.Loop, network, address string, config DialConfig, done func(c *Conn, err error)) (*Dialing, error) {
	d := &Dialing{address: address, config: config, done: done}
	n, err := streamNetwork(network)
	if err == nil {
		d.network = n
		err = d.begin(loop)
	}
	if err != nil {
		return nil, &Error{Op: "dial", Network: network, Address: address, Err: err}
	}
	return d, nil
}

func (d *Dialing) begin(loop *reactor.Loop) error {
	if d.done == nil || d.config.Timeout < 0 {
		return reactor.ErrInvalid
	}
	s, err := stateOf(loop)
	if err != nil {
		return err
	}
	p, err := d.network.parse(d.address, loopback)
	if err != nil {
		return err
	}
	if p.named {
		if d.lookup, err = Resolve(loop, d.network.name, d.address, d.config.Resolver, d.resolved); err != nil {
			return err
		}
	} else {
		addr := Addr{Path: p.path}
		if p.path == "" {
			addr = Addr{AddrPort: netip.AddrPortFrom(p.addr, p.port)}
		}
		d.rest = []Addr{addr}
		s.later(d.tryNext)
	}
	d.state = s
	d.element = s.open.PushBack(d)
	if d.config.Timeout > 0 {
		d.timeout = loop.AfterFunc(d.config.Timeout, d.timedOut)
		// What has come about already wins, however late the loop looks.
		_ = d.timeout.SetPriority(reactor.MinPriority) // the range is right
	}
	return nil
}

// Stop gives the dial up: done is not called any more. Stopping twice, or when
// done has been called, is harmless.
func (d *Dialing) Stop() {
	if d.element == nil {
		d.state.takeBack(d.ended)
		return
	}
	d.state.open.Remove(d.element)
	d.element = nil
	if d.lookup != nil {
		d.lookup.Stop()
	}
	for _, t := range []*reactor.Timer{d.timeout, d.next} {
		if t != nil {
			t.Stop()
		}
	}
	for _, a := range d.attempts {
		a.drop()
	}
	d.rest, d.attempts = nil, nil
}

// finish makes the callback.
func (d *Dialing) finish(fd int, reasons failures) {
	d.Stop()
	if fd < 0 {
		d.done(nil, d.failure(reasons))
		return
	}
	c := &Conn{state: d.state, fd: fd}
	defer c.Close()
	d.done(c, nil)
}

// timedOut looks at the attempts once more: the poller reports a part of what is ready
// if that is much.
func (d *Dialing) timedOut() {
	for _, a := range slices.Clone(d.attempts) {
		if a.decided(); d.element == nil {
			return // it has won
		}
	}
	if len(d.failed) == 0 || len(d.attempts)+len(d.rest) > 0 {
		d.failed = append(d.failed, ErrTimeout)
	}
	d.finish(-1, d.failed)
}

func (d *Dialing) failure(reasons failures) error {
	err := error(reasons)
	if len(reasons) == 1 {
		err = reasons[0]
	}
	return &Error{Op: "dial", Network: d.network.name, Address: d.address, Err: err}
}

func (d *Dialing) end() {
	d.Stop()
	d.ended = d.state.later(func() { d.done(nil, d.failure(failures{reactor.ErrClosed})) })
}

func (d *Dialing) flushing() bool { return false }

// resolved goes on with the addresses of a name.
func (d *Dialing) resolved(addrs []netip.AddrPort, err error) {
	if d.element == nil {
		return // both were ended with the loop
	}
	d.lookup = nil
	if err != nil {
		d.finish(-1, failures{err})
		return
	}
	for _, ap := range alternate(addrs) {
		if local := d.config.LocalAddr; !local.IsValid() || familyOf(local.Addr()) == familyOf(ap.Addr()) {
			d.rest = append(d.rest, Addr{AddrPort: ap})
		}
	}
	if len(d.rest) == 0 {
		d.failed = append(d.failed, unix.EAFNOSUPPORT)
	}
	d.tryNext()
}

// alternate orders addresses so that the versions of IP take turns, the first
// one's first.
func alternate(addrs []netip.AddrPort) []netip.AddrPort {
	var kinds [2][]netip.AddrPort
	for _, ap := range addrs {
		i := 0
		if familyOf(ap.Addr()) != familyOf(addrs[0].Addr()) {
			i = 1
		}
		kinds[i] = append(kinds[i], ap)
	}
	ordered := make([]netip.AddrPort, 0, len(addrs))
	for i := range max(len(kinds[0]), len(kinds[1])) {
		for _, kind := range kinds {
			if i < len(kind) {
				ordered = append(ordered, kind[i])
			}
		}
	}
	return ordered
}

// tryNext begins with the next address; when one fails at once, with the one
// after that; and gives up when there is none and nothing is under way.
func (d *Dialing) tryNext() {
	for d.element != nil {
		if len(d.rest) == 0 {
			if len(d.attempts) == 0 {
				d.finish(-1, d.failed)
			}
			return
		}
		a := &attempt{dialing: d, addr: d.rest[0], fd: -1}
		d.rest = d.rest[1:]
		d.attempts = append(d.attempts, a)
		if len(d.rest) > 0 {
			d.tryLater()
		}
		if a.begin() {
			return
		}
	}
}

func (d *Dialing) tryLater() {
	if d.next == nil {
		d.next = d.state.loop.AfterFunc(stagger, d.tryNext)
		return
	}
	d.next.Reset(stagger)
}

// lost takes note of an attempt that has failed.
func (d *Dialing) lost(a *attempt, err error) {
	a.drop()
	d.attempts = slices.DeleteFunc(d.attempts, func(x *attempt) bool { return x == a })
	d.failed = append(d.failed, &Error{Op: "connect", Address: a.addr.String(), Err: err})
}

// won ends the dial with the attempt's connection.
func (d *Dialing) won(a *attempt) {
	fd := a.fd
	a.stop()
	a.fd = -1
	d.finish(fd, nil)
}
