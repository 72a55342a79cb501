package rpc_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/rpc"
)

// What both sides state has to be the same; what one does not state does not matter.
func TestSidesThatDoNotMatchRefuseEachOther(t *testing.T) {
	for _, test := range []struct {
		name          string
		parent, child [2]string // codec and build
		says          string    // to the parent; "": they match
	}{
		{"the same", [2]string{"cbor", "b1"}, [2]string{"cbor", "b1"}, ""},
		{"builds", [2]string{"", "b1"}, [2]string{"", "b2"}, `the other side is build "b2", this side "b1"`},
		{"codecs", [2]string{"cbor", ""}, [2]string{"json", ""}, `the other side's codec is "json", this side's "cbor"`},
		{"codec that is not stated", [2]string{"cbor", ""}, [2]string{"", ""}, `the other side's codec is "string", this side's "cbor"`},
		{"build of the parent only", [2]string{"", "b1"}, [2]string{"", ""}, ""},
		{"build of the child only", [2]string{"", ""}, [2]string{"", "b2"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t)
			ours, theirs := socketpair(t)
			returned := make(chan error, 1)
			f.servers.Go(func() { returned <- serveStated(sameFD(theirs), test.child[0], test.child[1]) })
			var w watched
			config := w.config(rpc.Config{Codec: test.parent[0], Build: test.parent[1]})
			c := f.client(rpc.NewStreamTransport(f.Loop, ours, ours), peer{}, config)
			r := f.begin(c, "echo")
			c.Shutdown()
			f.until(w.ended)
			err := <-returned
			if test.says == "" {
				if r.err != nil || r.ends != 1 || err != nil {
					t.Errorf("the call ended with %v, and the server with %v", r.err, err)
				}
				return
			}
			if !isLost(r.err) || !strings.Contains(r.err.Error(), test.says) {
				t.Errorf("the call ended with %v", r.err)
			}
			if violation := (*rpc.ProtocolError)(nil); !errors.As(err, &violation) {
				t.Errorf("the server returned %v", err)
			}
		})
	}
}

// serveStated is a mirror that states a codec and a build.
func serveStated(fds sameFD, codec, build string) error {
	defer unix.Close(int(fds))
	server, err := rpc.NewServer(fds, rpc.ServerConfig{Codec: codec, Build: build})
	if err != nil {
		return err
	}
	return server.ServeSync(func(_ context.Context, request rpc.Payload) (rpc.Payload, error) { return request, nil })
}
