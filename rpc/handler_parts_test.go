package rpc_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/rpctest"
)

// Parts and SendPart in a Handler.

// blockingServers are the servers of Handlers.
var blockingServers = map[string]func(s *rpc.Server, handler rpc.Handler) error{
	"sync":       (*rpc.Server).ServeSync,
	"goroutines": func(s *rpc.Server, handler rpc.Handler) error { return s.ServeGoroutines(handler, 0) },
}

// The credit for a part cannot be granted to a parent that reads no more: no other part is taken then.
func TestPartsEndWhenTheirCreditCannotBeGranted(t *testing.T) {
	for name, serve := range blockingServers {
		for _, leaves := range []bool{false, true} {
			newFixture(t)
			var in, out [2]int
			must(t, unix.Pipe(in[:]))
			must(t, unix.Pipe(out[:]))
			_, err := unix.Write(in[1], []byte(clientHello+windowCall(1, 100, true, nil)+frame(partKind|1, "one")+frame(partKind|1, "two")))
			must(t, err)
			must(t, unix.Close(in[1]))
			s, err := rpc.NewServer(twoFDs{in[0], out[1]}, rpc.ServerConfig{Window: 20}) // of which a part is more than half
			must(t, err)
			var parts []string
			returned := false
			ended := serve(s, func(ctx context.Context, _ rpc.Payload) (_ rpc.Payload, failure error) {
				for part, err := range rpc.Parts(ctx) {
					if failure = err; err != nil {
						continue
					}
					parts = append(parts, string(part))
					if len(parts) == 1 {
						must(t, unix.Close(out[0]))
					}
					if leaves {
						break
					}
				}
				returned = true
				return nil, failure
			})
			if !returned || strings.Join(parts, " ") != "one" || !errors.Is(ended, unix.EPIPE) {
				t.Errorf("%s, leaves early: %v: the handler has returned: %v, the parts are %q, the server returned %v", name, leaves, returned, parts, ended)
			}
			must(t, errors.Join(unix.Close(in[0]), unix.Close(out[1])))
		}
	}
}

// A part that is too large uses up no credit: another can be sent in its place.
func TestRefusedPartUsesUpNoCredit(t *testing.T) {
	const most = 1024
	in := clientHello + windowCall(1, 1, false, nil)
	for name, serve := range blockingServers {
		f := newFixture(t)
		said, err := f.hear(rpctest.Config{}, []byte(in), func(fds rpc.FDs) error {
			s, err := rpc.NewServer(fds, rpc.ServerConfig{MaxFrame: most})
			must(t, err)
			return serve(s, func(ctx context.Context, _ rpc.Payload) (rpc.Payload, error) {
				if err := rpc.SendPart(ctx, make([]byte, most+1)); err != rpc.ErrTooLarge {
					t.Errorf("%s: SendPart of too much returned %v", name, err)
				}
				return nil, rpc.SendPart(ctx, make([]byte, most))
			})
		})
		if want := ourHello + frame(partKind|1, string(make([]byte, most))) + frame(1, ""); err != nil || said != want {
			t.Errorf("%s: the server says %q, and returned %v", name, said, err)
		}
	}
}

// What has come is kept for a ctx that has not ended.
func TestPartsUnderAnEndedContextAreKept(t *testing.T) {
	f := newFixture(t)
	came := make(chan struct{})
	in := clientHello + windowCall(1, 100, true, nil) + frame(partKind|1, "part") + frame(endKind|1, "") + frame(2, "next")
	said, err := f.hear(rpctest.Config{}, []byte(in), func(fds rpc.FDs) error {
		return rpc.ServeGoroutines(fds, func(ctx context.Context, request rpc.Payload) (reply rpc.Payload, _ error) {
			if len(request) > 0 {
				close(came)
				return nil, nil
			}
			<-came // the server has read the part, which is before that call
			ended, cancel := context.WithCancel(ctx)
			cancel()
			for part, err := range rpc.Parts(ended) {
				if err != context.Canceled {
					t.Errorf("under an ended ctx there is %q, %v", part, err)
				}
			}
			for part, err := range rpc.Parts(ctx) {
				must(t, err)
				reply = append(reply, part...)
			}
			return reply, nil
		}, 0)
	})
	if err != nil || !strings.Contains(said, frame(1, "part")) {
		t.Errorf("the server says %q, and returned %v", said, err)
	}
}

// Whoever has kept the ctx of a handler of ServeSync can send nothing behind its answer, nor take anything.
func TestNoPartsBehindTheAnswer(t *testing.T) {
	f := newFixture(t)
	said, err := f.hear(rpctest.Config{}, []byte(clientHello+frame(1, "")), func(fds rpc.FDs) error {
		var kept context.Context
		err := rpc.ServeSync(fds, func(ctx context.Context, _ rpc.Payload) (rpc.Payload, error) {
			kept = context.WithoutCancel(ctx)
			return nil, nil
		})
		if err := rpc.SendPart(kept, nil); err != rpc.ErrDone {
			t.Errorf("SendPart returned %v", err)
		}
		var ends []error
		for _, err := range rpc.Parts(kept) {
			ends = append(ends, err)
		}
		if len(ends) != 1 || ends[0] != rpc.ErrDone {
			t.Errorf("Parts ended with %v", ends)
		}
		return err
	})
	if err != nil || said != ourHello+frame(1, "") {
		t.Errorf("the server says %q, and returned %v", said, err)
	}
}

// A handler of ServeSync that waits with a ctx which does not end with its own ends at its deadline, although the parent says
// nothing.
func TestWaitForCreditEndsAtTheHandlersOwnDeadline(t *testing.T) {
	for name, other := range map[string]func(ctx context.Context) (context.Context, context.CancelFunc){
		"without a deadline": context.WithCancel,
		"with a later deadline": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Hour)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			ours, theirs := socketpair(t)
			patience := unix.NsecToTimeval(int64(guard))
			must(t, unix.SetsockoptTimeval(ours, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience))
			file := fileOf(ours)
			defer file.Close()
			f.servers.Go(func() {
				defer unix.Close(theirs)
				if err := rpc.ServeSync(sameFD(theirs), func(ctx context.Context, _ rpc.Payload) (_ rpc.Payload, err error) {
					ctx, cancel := other(context.WithoutCancel(ctx))
					defer cancel()
					for err == nil {
						err = rpc.SendPart(ctx, nil)
					}
					return nil, err
				}); err != nil {
					t.Error(err)
				}
			})
			_, err := file.WriteString(strangersHello + limitedCall(1, uint64(50*time.Millisecond)))
			must(t, err)
			expect(t, file, ourHello)
			want := errorReply(1, rpc.ErrDeadline, rpc.KindDeadline)
			if said := readBytes(file, len(want)); said != want { // the handler has been begun in time
				said += readBytes(file, len(frame(partKind|1, "")))
				if said != frame(partKind|1, "")+want {
					t.Errorf("the server says %q", said)
				}
			}
		})
	}
}
