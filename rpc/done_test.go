package rpc_test

import (
	"context"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/rpc"
)

// ServerConfig.Done is called once, when the input has ended and all replies are with the
// parent, and before the Serve method returns; after a violation it is not.
func TestDoneIsCalledWhenAllIsAnswered(t *testing.T) {
	calls, replies := hello, ourHello
	for id := range uint32(20) {
		calls += frame(id+1, "\x02hi")
		replies += frame(id+1, "\x02hi")
	}
	for number, server := range []string{"sync", "goroutines", "async"} {
		for _, test := range []struct {
			name, in string
			written  []int // how many bytes Done finds
		}{
			{"orderly", calls, []int{len(replies)}},
			{"nothing asked", hello, []int{len(ourHello)}},
			{"violation", calls + frame(errorKind|1, ""), nil},
			{"truncated", calls + "\x00", nil},
		} {
			t.Run(server+"/"+test.name, func(t *testing.T) {
				newFixture(t)
				ours, theirs := socketpair(t)
				defer unix.Close(ours)
				var written []int
				done := func() {
					buf := make([]byte, 2*len(replies))
					n, _, err := unix.Recvfrom(ours, buf, unix.MSG_PEEK|unix.MSG_DONTWAIT)
					must(t, err)
					written = append(written, n)
				}
				_, err := unix.Write(ours, []byte(test.in))
				must(t, err)
				must(t, unix.Shutdown(ours, unix.SHUT_WR))
				err = serveUntilDone(sameFD(theirs), byte(number), done)
				if server != "async" { // whose stream has closed it
					unix.Close(theirs)
				}
				if (err == nil) != (test.written != nil) || len(written) != len(test.written) || len(written) > 0 && written[0] != test.written[0] {
					t.Errorf("Done found %v bytes, not %v; the server returned %v", written, test.written, err)
				}
			})
		}
	}
}

// serveUntilDone is a mirror with a Done.
func serveUntilDone(fds rpc.FDs, server byte, done func()) error {
	s, err := rpc.NewServer(fds, rpc.ServerConfig{Done: done})
	if err != nil {
		return err
	}
	handler := func(_ context.Context, request rpc.Payload) (rpc.Payload, error) { return request, nil }
	return serveNumbered(s, server, handler, func(request rpc.Payload, done rpc.Done) { done.ReplyBytes(request) })
}
