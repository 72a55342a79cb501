package sock

import (
	"container/list"
	"context"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// A Resolution is the search for the addresses of a name. All methods belong to
// the loop's goroutine.
type Resolution struct {
	state   *state
	element *list.Element // of state.open; nil: it has ended
	ended   *list.Element // of state.owed, when the loop has ended it
	network network
	name    string
	done    func([]netip.AddrPort, error)
	cancel  context.CancelFunc
	release func() // of the loop's Hold
}

// Resolve looks up the addresses of "host:port" in network "tcp", "udp", or one
// of these with a 4 or 6 behind it, and calls done once, on the loop. The port may
// be a name, too. The addresses are in the resolver's order, of which the first is
// usually the best (RFC 6724). Dial does this by itself; for others it is here.
//
// resolver may be nil: net.DefaultResolver. It is asked on a goroutine of its own,
// which ends with the answer, with Stop, or with the loop. An IP literal with a
// numeric port needs no goroutine.
func Resolve(loop *reactor.Loop, network, address string, resolver *net.Resolver, done func(addrs []netip.AddrPort, err error)) (*Resolution, error) {
	n, err := streamNetwork(network)
	if err != nil {
		n, err = packetNetwork(network)
	}
	if err == nil && (n.family == unix.AF_UNIX || done == nil) {
		err = reactor.ErrInvalid
	}
	r := &Resolution{network: n, name: address, done: done}
	if err == nil {
		err = r.begin(loop, resolver)
	}
	if err != nil {
		return nil, &Error{Op: "resolve", Network: network, Address: address, Err: err}
	}
	return r, nil
}

func (r *Resolution) begin(loop *reactor.Loop, resolver *net.Resolver) (err error) {
	if r.state, err = stateOf(loop); err != nil {
		return err
	}
	p, err := r.network.parse(r.name, loopback)
	if err != nil {
		return err
	}
	r.element = r.state.open.PushBack(r)
	r.release = loop.Hold()
	if !p.named {
		r.state.later(func() { r.finish([]netip.AddrPort{netip.AddrPortFrom(p.addr, p.port)}, nil) })
		return nil
	}
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	r.state.lookups++
	go func() {
		addrs, err := r.network.lookUp(ctx, resolver, p)
		// After the loop has failed nobody waits for the answer.
		_ = loop.Post(func() {
			r.state.lookups--
			r.finish(addrs, err)
		})
	}()
	return nil
}

// lookUp asks the resolver for what is not a literal of the place.
func (n network) lookUp(ctx context.Context, resolver *net.Resolver, p place) ([]netip.AddrPort, error) {
	port := int(p.port)
	if nameLike(p.service) {
		var err error
		if port, err = resolver.LookupPort(ctx, n.name, p.service); err != nil {
			return nil, err
		}
	}
	ips := []netip.Addr{p.addr}
	if !p.addr.IsValid() {
		var err error
		if ips, err = resolver.LookupNetIP(ctx, n.ipNetwork(), p.host); err != nil {
			return nil, err
		}
	}
	addrs := make([]netip.AddrPort, 0, len(ips))
	for _, ip := range ips {
		if ip = ip.Unmap(); n.takes(ip) {
			addrs = append(addrs, netip.AddrPortFrom(ip, uint16(port)))
		}
	}
	if len(addrs) == 0 {
		return nil, &net.DNSError{Err: "no suitable address", Name: p.host, IsNotFound: true}
	}
	return addrs, nil
}

func (n network) ipNetwork() string {
	switch n.family {
	case unix.AF_INET:
		return "ip4"
	case unix.AF_INET6:
		return "ip6"
	default:
		return "ip"
	}
}

// finish makes the callback, unless it was stopped meanwhile.
func (r *Resolution) finish(addrs []netip.AddrPort, err error) {
	if r.element == nil {
		return
	}
	r.Stop()
	if err != nil {
		err = &Error{Op: "resolve", Network: r.network.name, Address: r.name, Err: err}
	}
	r.done(addrs, err)
}

// Stop gives the search up: done is not called any more. The goroutine, if there
// is one, ends soon. Stopping twice, or when done has been called, is harmless.
func (r *Resolution) Stop() {
	if r.element == nil {
		r.state.takeBack(r.ended)
		return
	}
	r.state.open.Remove(r.element)
	r.element = nil
	if r.cancel != nil {
		r.cancel()
	}
	r.release()
}

// end tells done that the loop has been closed.
func (r *Resolution) end() {
	r.Stop()
	r.ended = r.state.later(func() {
		r.done(nil, &Error{Op: "resolve", Network: r.network.name, Address: r.name, Err: reactor.ErrClosed})
	})
}

func (r *Resolution) flushing() bool { return false }
