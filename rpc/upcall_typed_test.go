package rpc_test

import (
	"context"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/codec/jsoncodec"
	"github.com/evfork/evfork/rpc/rpctest"
)

// question is a typed call of a child to its parent.
type question struct {
	call  func(ctx context.Context) (any, error)
	begin func(s *rpc.Server, done func(any, error)) error
}

func questionOf[Req, Resp any](m *rpc.Method[Req, Resp], req Req) question {
	return question{
		call: func(ctx context.Context) (any, error) { return m.CallParent(ctx, req) },
		begin: func(s *rpc.Server, done func(any, error)) error {
			return m.GoParent(s, req, func(resp Resp, err error) { done(resp, err) })
		},
	}
}

// serveQuestions serves a child that asks the question whose number it is given, and
// tells how that ended.
func serveQuestions(server string, fds rpc.FDs, questions []question, tell func(any, error)) error {
	s, err := rpc.NewServer(fds, rpc.ServerConfig{})
	if err != nil {
		return err
	}
	number := func(request rpc.Payload) int {
		n, _ := strconv.Atoi(string(request))
		return n
	}
	handle := func(ctx context.Context, request rpc.Payload) (rpc.Payload, error) {
		tell(questions[number(request)].call(ctx))
		return nil, nil
	}
	switch server {
	case "sync":
		return s.ServeSync(handle)
	case "goroutines":
		return s.ServeGoroutines(handle, 0)
	}
	return serveOnALoop(s, func(request rpc.Payload, done rpc.Done) {
		err := questions[number(request)].begin(s, func(resp any, err error) {
			tell(resp, err)
			done.Reply()
		})
		if err != nil {
			tell(nil, err)
			done.Reply()
		}
	})
}

var unencodable = rpc.NewMethod[chan int, string]("join", jsoncodec.Codec{})

// A Mux in the parent answers as one in a child does.
func TestTypedCallsToTheParent(t *testing.T) {
	anOrder := order{Item: "nail", Count: 3, Notes: map[string]string{"nail": "small"}}
	tests := []struct {
		question
		want   any
		kind   error // of a MethodError
		says   string
		remote bool
	}{
		{questionOf(jsonOrder, anOrder), fill(anOrder), nil, "", false},
		{questionOf(gobOrder, anOrder), fill(anOrder), nil, "", false},
		{questionOf(stringJoin, []string{"a", "b"}), "a+b", nil, "", false},
		{questionOf(failing, "sold out"), "", nil, "rpc: handler failed: sold out", true},
		{questionOf(absent, ""), "", rpc.ErrUnknownMethod, `unknown method: the other side has crash, double`, true},
		{questionOf(otherCodec, order{}), receipt{}, rpc.ErrCodecMismatch, `the caller encodes with "cbor", the other side with "json"`, true},
		{questionOf(otherTypes, []int{1}), receipt{}, rpc.ErrBadRequest, "cannot unmarshal array", true},
		{questionOf(otherReply, order{}), []int(nil), rpc.ErrBadReply, "cannot unmarshal object", false},
		{questionOf(loudReply, ""), nil, rpc.ErrBadReply, "unsupported type: chan int", true},
		{questionOf(unencodable, nil), nil, rpc.ErrBadRequest, "unsupported type: chan int", false},
	}
	var questions []question
	for _, test := range tests {
		questions = append(questions, test.question)
	}
	for _, server := range []string{"sync", "async", "goroutines"} {
		for _, async := range []bool{false, true} {
			t.Run(server+"/"+strconv.FormatBool(async), func(t *testing.T) {
				f := newFixture(t)
				type outcome struct {
					resp any
					err  error
				}
				outcomes := make(chan outcome, 1)
				tr := rpctest.Start(t, f.Loop, func(fds rpc.FDs) error {
					return serveQuestions(server, fds, questions, func(resp any, err error) { outcomes <- outcome{resp, err} })
				})
				c := f.client(tr, peer{}, rpc.Config{OnCall: typedMux(async).Async()})
				for i, test := range tests {
					ended := false
					must(t, c.GoBytes(func(rpc.Payload, error) { ended = true }, []byte(strconv.Itoa(i))))
					f.until(func() bool { return ended })
					got := <-outcomes
					var method *rpc.MethodError
					var remote *rpc.RemoteError
					switch {
					case test.says == "":
						if got.err != nil || !reflect.DeepEqual(got.resp, test.want) {
							t.Errorf("question %d: %v, %v", i, got.resp, got.err)
						}
					case got.err == nil || !strings.Contains(got.err.Error(), test.says) || errors.As(got.err, &remote) != test.remote,
						errors.As(got.err, &method) != (test.kind != nil), test.kind != nil && !errors.Is(got.err, test.kind):
						t.Errorf("question %d: %v, %v", i, got.resp, got.err)
					}
				}
			})
		}
	}
}

// A typed call to the parent that is refused ends with that.
func TestTypedCallToAParentThatTakesNoneIsNotMade(t *testing.T) {
	f := newFixture(t)
	a := serveAsker(f, rpc.ServerConfig{}, hello+frame(1, ""), func(a *asker, _ rpc.Payload, done rpc.Done) {
		for range 2 {
			err := jsonOrder.GoParent(a.Server, order{}, func(_ receipt, err error) { t.Errorf("the call ended, with %v", err) })
			if err != rpc.ErrNoCalls {
				t.Errorf("GoParent returned %v", err)
			}
		}
		must(t, done.Reply())
		a.endInput(t)
	})
	if out := <-a.out; out != ourHello+frame(1, "") {
		t.Errorf("the server says %q", out)
	}
}
