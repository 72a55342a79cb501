package sock_test

import (
	"net/netip"
	"testing"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/sock"
)

// When a callback panicked, and the loop failed by it, the functions of dials and look-ups were never called, not even
// by Close; and listeners stayed open until then.
func TestFailedLoopEndsWhatIsOpen(t *testing.T) {
	for name, fail := range map[string]func(*reactor.Loop) error{
		"in an iteration": func(loop *reactor.Loop) error { return loop.Poll(0) },
		"amid Close":      (*reactor.Loop).Close,
	} {
		t.Run(name, func(t *testing.T) {
			loop := newLoop(t)
			must(t, loop.Post(func() { panic("on purpose") }))
			l := listen(t, loop, "tcp", "127.0.0.1:0", sock.ListenConfig{}, ignore)
			var errs []error
			for _, address := range []string{l.Addr().String(), "slow.test.:1"} {
				config := sock.DialConfig{Resolver: hangingResolver()}
				_, err := sock.Dial(loop, "tcp", address, config, func(_ *sock.Conn, err error) { errs = append(errs, err) })
				must(t, err)
				_, err = sock.Resolve(loop, "tcp", address, hangingResolver(), func(_ []netip.AddrPort, err error) { errs = append(errs, err) })
				must(t, err)
			}
			func() {
				defer func() {
					if recover() == nil {
						t.Error("no panic")
					}
				}()
				t.Error(fail(loop))
			}()
			if len(errs) != 4 || l.FD() >= 0 {
				t.Errorf("%d ends, the listener has descriptor %d", len(errs), l.FD())
			}
			for _, err := range errs {
				wantErr(t, err, reactor.ErrClosed)
			}
		})
	}
}
