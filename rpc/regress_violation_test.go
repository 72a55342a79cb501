package rpc_test

import (
	"context"
	"errors"
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

// What cannot be sent because the parent is gone had the error of the write for its own.
func TestUpcallsThatCannotBeSentAreLost(t *testing.T) {
	ours, theirs := socketpair(t)
	file := fileOf(ours)
	_, err := file.WriteString(frame(helloWord, string(rpc.Strings("evfork", "1", "features", "calls", "calls", "2"))) + frame(1, ""))
	must(t, err)
	called := false
	err = rpc.ServeSync(sameFD(theirs), func(ctx context.Context, _ rpc.Payload) (rpc.Payload, error) {
		called = true
		file.Close()
		if _, err := rpc.CallParentBytes(ctx, nil); !isLost(err) || !errors.Is(err, unix.EPIPE) {
			t.Errorf("the call ends with %v", err)
		}
		return nil, nil
	})
	unix.Close(theirs)
	if !called || !errors.Is(err, unix.EPIPE) {
		t.Errorf("the server returned %v", err)
	}
}

// A handler of ServeSync that waited for the parent then had the violation for its error, and under ServeAsync what was called after
// that was refused with it; both are a LostError, as documented.
func TestUpcallsOfAServerThatHasFailedAreLost(t *testing.T) {
	for name, serve := range map[string]func(s *rpc.Server, check func(error)) error{
		"sync": func(s *rpc.Server, check func(error)) error {
			return s.ServeSync(func(ctx context.Context, _ rpc.Payload) (rpc.Payload, error) {
				for range 2 { // one waits, one is refused
					_, err := rpc.CallParentBytes(ctx, nil)
					check(err)
				}
				return nil, nil
			})
		},
		"async": func(s *rpc.Server, check func(error)) error {
			return serveOnALoop(s, func(_ rpc.Payload, done rpc.Done) {
				must(t, s.GoParentBytes(func(_ rpc.Payload, err error) { check(err) }, nil))
				done.OnCancel(func(error) { check(s.GoParentBytes(nil, nil)) })
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := socketpair(t)
			file := fileOf(ours)
			defer file.Close()
			_, err := file.WriteString(frame(helloWord, string(rpc.Strings("evfork", "1", "features", "calls", "calls", "2"))) +
				frame(1, "") + frame(upcallKind|77, "")) // which answers nothing
			must(t, err)
			must(t, unix.Shutdown(ours, unix.SHUT_WR))
			s, err := rpc.NewServer(sameFD(theirs), rpc.ServerConfig{})
			must(t, err)
			checked := 0
			err = serve(s, func(err error) {
				checked++
				if !isLost(err) || !strings.Contains(err.Error(), "id 77") {
					t.Errorf("call %d ends with %v", checked, err)
				}
			})
			if name == "sync" { // else the stream has closed it
				unix.Close(theirs)
			}
			if err == nil || checked != 2 {
				t.Errorf("%d calls have ended; the server returned %v", checked, err)
			}
		})
	}
}
