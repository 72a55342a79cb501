package rpc_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/rpc"
)

// A parent that had violated the protocol got the replies that had been given before from ServeSync and ServeGoroutines; ServeAsync dropped
// what the pipe had not taken, and the parent read the beginning of a reply.
func TestParentThatViolatesGetsTheRepliesBefore(t *testing.T) {
	reply := make(rpc.Payload, 1<<20) // more than a pipe holds
	whole := frame(1, string(reply))
	sync := func(context.Context, rpc.Payload) (rpc.Payload, error) { return reply, nil }
	for name, serve := range map[string]func(s *rpc.Server) error{
		"sync":       func(s *rpc.Server) error { return s.ServeSync(sync) },
		"goroutines": func(s *rpc.Server) error { return s.ServeGoroutines(sync, 0) },
		"async": func(s *rpc.Server) error {
			return serveOnALoop(s, func(_ rpc.Payload, done rpc.Done) { done.ReplyBytes(reply) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			var in, out [2]int
			must(t, unix.Pipe(in[:]))
			must(t, unix.Pipe(out[:]))
			requests, answers := fileOf(in[1]), fileOf(out[0])
			defer requests.Close()
			defer answers.Close()
			f.servers.Go(func() {
				server, err := rpc.NewServer(twoFDs{in[0], out[1]}, rpc.ServerConfig{})
				if err == nil {
					err = serve(server)
				}
				if err == nil || !strings.Contains(err.Error(), "the parent sent a frame of kind 1 with id 2") {
					t.Errorf("the server returned %v", err)
				}
				if name != "async" { // whose stream has closed them
					unix.Close(in[0])
					unix.Close(out[1])
				}
			})
			input := []string{hello + frame(1, ""), frame(errorKind|2, "")}
			if name != "goroutines" { // which may not have begun the call when its reader comes to the violation
				input = []string{strings.Join(input, ""), ""}
			}
			_, err := requests.WriteString(input[0])
			must(t, err)
			expect(t, answers, ourHello+whole[:8])
			_, err = requests.WriteString(input[1])
			must(t, err)
			got, err := io.ReadAll(answers)
			must(t, err)
			if string(got) != whole[8:] {
				t.Errorf("of the reply %d bytes were read", len(got))
			}
			f.servers.Wait()
		})
	}
}
