package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/rpctest"
)

// partial is a result that takes parts.
type partial struct {
	result
	parts []string
	late  int // parts behind the end
}

func (p *partial) Part(part rpc.Payload) {
	values, err := part.Strings()
	if err != nil {
		p.parts = append(p.parts, err.Error())
	}
	p.parts = append(p.parts, values...)
	if p.ended() {
		p.late++
	}
}

func TestPartsComeInOrderBeforeTheReply(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		c := f.connect(p, rpc.Config{})
		want := make([]string, 1000)
		for i := range want {
			want[i] = fmt.Sprint(i)
		}
		var calls []*partial
		for range 20 {
			r := &partial{}
			calls = append(calls, r)
			must(t, c.GoTo(r, append([]string{"parts"}, want...)...))
		}
		f.until(func() bool { return c.InFlight() == 0 })
		for i, r := range calls {
			if r.ends != 1 || r.err != nil || r.reply[0] != "whole" || r.late > 0 || !slices.Equal(r.parts, want) {
				t.Fatalf("call %d: %d ends, %q, %v, %d parts, %d late", i, r.ends, r.reply, r.err, len(r.parts), r.late)
			}
		}
	})
}

func TestPartsNobodyWantsAreDropped(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		c := f.connect(p, rpc.Config{})
		if reply, err := f.ask(c, "parts", "a", "b"); err != nil || reply[0] != "whole" {
			t.Errorf("%q, %v", reply, err)
		}
		r := &partial{}
		id, err := c.GoWith(r, rpc.CallOptions{}, rpc.Strings("parts", "a"))
		must(t, err)
		c.Cancel(id)
		f.until(func() bool { return c.InFlight() == 0 && r.ended() })
		if len(r.parts) > 0 {
			t.Errorf("after the cancel came %q", r.parts)
		}
	})
}

// A parent that does not say that it takes parts gets none.
func TestPartsNeedACallerThatTakesThem(t *testing.T) {
	const request = "\x05parts\x01a"
	for _, server := range []string{"sync", "async", "goroutines"} {
		t.Run(server+"/evfork", func(t *testing.T) {
			newFixture(t)
			out, err := serveRaw(t, peer{server: server}, hello+frame(1, request))
			must(t, err)
			want := frame(errorKind|1, string(rpc.Strings(rpc.ErrNoParts.Error(), rpc.KindError, "")))
			if out = strings.TrimPrefix(out, ourHello); out != want {
				t.Errorf("is  %q\nnot %q", out, want)
			}
		})
		for wire, call := range map[rpc.Wire]string{rpc.AnyEventAsync: frame(1, request), rpc.AnyEventSync: syncCall(request)} {
			t.Run(server+"/"+wire.String(), func(t *testing.T) { // where the handler's error ends the server
				newFixture(t)
				out, err := serveRaw(t, peer{server: server, wire: wire}, call)
				if out != "" || !errors.Is(err, rpc.ErrNoParts) {
					t.Errorf("the server wrote %q, and returned %v", out, err)
				}
			})
		}
	}
}

func TestPartOfACallThatIsNotInFlightIsAViolation(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{})
	r := f.begin(c, "one")
	_, err := file.WriteString(hello + frame(0x20000007, ""))
	must(t, err)
	f.until(r.ended)
	wantViolation(t, r.err, "part of a reply to call 7, which is not in flight")
}

func TestSendPartNeedsAHandlersContext(t *testing.T) {
	if err := rpc.SendPart(t.Context(), nil); err != rpc.ErrNoParts {
		t.Errorf("SendPart returned %v", err)
	}
}

// Nothing is sent for a ctx that has ended.
func TestSendPartUnderAnEndedContextSendsNothing(t *testing.T) {
	for name, serve := range map[string]func(rpc.FDs, rpc.Handler) error{
		"sync":       rpc.ServeSync,
		"goroutines": func(fds rpc.FDs, handler rpc.Handler) error { return rpc.ServeGoroutines(fds, handler, 0) },
	} {
		f := newFixture(t)
		out, err := f.hear(rpctest.Config{}, []byte(strangersHello+frame(1, "")), func(fds rpc.FDs) error {
			return serve(fds, func(ctx context.Context, _ rpc.Payload) (rpc.Payload, error) {
				ctx, cancel := context.WithCancel(ctx)
				cancel()
				if err := rpc.SendPart(ctx, nil); err != context.Canceled {
					t.Errorf("%s: SendPart returned %v", name, err)
				}
				return nil, nil
			})
		})
		if err != nil || !strings.HasSuffix(out, ourHello+frame(1, "")) {
			t.Errorf("%s: the server wrote %q, and returned %v", name, out, err)
		}
	}
}

// wantViolation fails the test unless a call has ended because of a violation that is described so.
func wantViolation(t *testing.T, err error, says string) {
	t.Helper()
	if _, ok := errors.AsType[*rpc.ProtocolError](err); !ok || !strings.Contains(err.Error(), says) {
		t.Errorf("the call ended with %v", err)
	}
}
