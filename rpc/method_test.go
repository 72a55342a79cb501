package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/codec/cborcodec"
	"github.com/evfork/evfork/rpc/codec/gobcodec"
	"github.com/evfork/evfork/rpc/codec/jsoncodec"
	"github.com/evfork/evfork/rpc/codec/rawcodec"
	"github.com/evfork/evfork/rpc/codec/stringcodec"
)

// The types and methods that both sides of these tests know.
type order struct {
	Item  string            `json:"item"`
	Count int               `json:"count"`
	Notes map[string]string `json:"notes"`
}

type receipt struct {
	Lines []string `json:"lines"`
	Total int64    `json:"total"`
}

type pair struct {
	A int
	B float64
}

var (
	jsonOrder    = rpc.NewMethod[order, receipt]("order json", jsoncodec.Codec{})
	cborOrder    = rpc.NewMethod[order, receipt]("order cbor", cborcodec.Codec{})
	gobOrder     = rpc.NewMethod[order, receipt]("order gob", gobcodec.Codec{})
	stringJoin   = rpc.NewMethod[[]string, string]("join", stringcodec.Codec{})
	rawMirror    = rpc.NewMethod[[]byte, []byte]("mirror", rawcodec.Codec{})
	stringMirror = rpc.NewMethod[string, string]("mirror strings", stringcodec.Codec{})
	rawMallocs   = rpc.NewMethod[struct{}, string]("mallocs", rawcodec.Codec{})

	cborNumbers = rpc.NewMethod[pair, pair]("numbers", cborcodec.Codec{})

	failing  = rpc.NewMethod[string, string]("fail", jsoncodec.Codec{})
	panicky  = rpc.NewMethod[string, string]("panic", jsoncodec.Codec{})
	nested   = rpc.NewMethod[string, string]("nested", jsoncodec.Codec{})
	crashing = rpc.NewMethod[string, string]("crash", jsoncodec.Codec{})
	double   = rpc.NewMethod[job, int]("double", jsoncodec.Codec{})

	// What only one side believes.
	absent     = rpc.NewMethod[string, string]("not there", jsoncodec.Codec{})
	otherCodec = rpc.NewMethod[order, receipt]("order json", cborcodec.Codec{})
	otherTypes = rpc.NewMethod[[]int, receipt]("order json", jsoncodec.Codec{})
	otherReply = rpc.NewMethod[order, []int]("order json", jsoncodec.Codec{})
	loudReply  = rpc.NewMethod[string, any]("loud", jsoncodec.Codec{})
)

func fill(o order) receipt {
	r := receipt{Total: int64(o.Count) << 33}
	for i := range o.Count {
		r.Lines = append(r.Lines, fmt.Sprint(i, o.Item, o.Notes[o.Item]))
	}
	return r
}

// typedMux is what the typed worker can do. Half of it is registered as handlers
// that answer later.
func typedMux(async bool) *rpc.Mux {
	mux := rpc.NewMux()
	for _, m := range []*rpc.Method[order, receipt]{jsonOrder, cborOrder, gobOrder} {
		if async {
			m.HandleAsync(mux, func(o order, answer rpc.Answer[receipt]) { answer.Reply(fill(o)) })
		} else {
			m.Handle(mux, func(_ context.Context, o order) (receipt, error) { return fill(o), nil })
		}
	}
	stringJoin.Handle(mux, func(_ context.Context, words []string) (string, error) { return strings.Join(words, "+"), nil })
	rawMirror.Handle(mux, func(_ context.Context, b []byte) ([]byte, error) { return b, nil })
	stringMirror.Handle(mux, func(_ context.Context, s string) (string, error) { return s, nil })
	cborNumbers.Handle(mux, func(_ context.Context, n pair) (pair, error) { return n, nil })
	rawMallocs.Handle(mux, func(context.Context, struct{}) (string, error) { return mallocs(), nil })
	loudReply.Handle(mux, func(context.Context, string) (any, error) { return make(chan int), nil })
	crashing.Handle(mux, func(_ context.Context, text string) (string, error) {
		os.Stderr.WriteString(text)
		return "", unix.Kill(os.Getpid(), unix.SIGKILL)
	})
	double.HandleAsync(mux, doubleJob)
	if async {
		failing.HandleAsync(mux, func(text string, answer rpc.Answer[string]) { answer.Fail(errors.New(text)) })
		panicky.HandleAsync(mux, func(text string, _ rpc.Answer[string]) { panic(text) })
	} else {
		failing.Handle(mux, func(_ context.Context, text string) (string, error) { return "", errors.New(text) })
		panicky.Handle(mux, func(_ context.Context, text string) (string, error) { panic(text) })
	}
	nested.Handle(mux, func(context.Context, string) (string, error) {
		return "", &rpc.MethodError{Method: "inner", Kind: rpc.ErrUnknownMethod, Err: errors.New("far away")}
	})
	return mux
}

func typedWorker(w *child.Worker) error {
	return serveMux(w, parsePeer(os.Args[1:]), typedMux(os.Args[len(os.Args)-1] == "async"))
}

func serveMux(fds rpc.FDs, p peer, mux *rpc.Mux) error {
	server, err := rpc.NewServer(fds, rpc.ServerConfig{Wire: p.wire})
	if err != nil {
		return err
	}
	switch p.server {
	case "sync":
		return server.ServeSync(mux.Sync())
	case "goroutines":
		return server.ServeGoroutines(mux.Goroutines(), p.limit)
	}
	return serveOnALoop(server, mux.Async())
}

// typed connects to a typedMux, wherever the peer is to live.
func (f *fixture) typed(p peer, async bool, config rpc.Config) *rpc.Client {
	f.t.Helper()
	if p.process() {
		kind := map[bool]string{false: "plain", true: "async"}[async]
		c := child.Config{Worker: "typed", Args: append(p.args(), kind)}
		if p.transport == "stdio" {
			c.Transport = child.Stdio
		}
		unhurried(&c)
		proc, err := child.Start(f.Loop, c)
		must(f.t, err)
		return f.client(proc, p, config)
	}
	return f.typedHere(p, typedMux(async), config)
}

// typedHere connects to a Mux that is served on a goroutine of this process.
func (f *fixture) typedHere(p peer, mux *rpc.Mux, config rpc.Config) *rpc.Client {
	f.t.Helper()
	ours, theirs := socketpair(f.t)
	f.servers.Go(func() {
		if err := serveMux(sameFD(theirs), p, mux); err != nil {
			f.t.Logf("the server in this process: %v", err)
		}
		if p.server != "async" {
			unix.Close(theirs)
		}
	})
	return f.client(rpc.NewStreamTransport(f.Loop, ours, ours), p, config)
}

// eachTyped runs a test against every server, transport and wire, with handlers of
// either form.
func eachTyped(t *testing.T, test func(t *testing.T, p peer, async bool)) {
	eachPeer(t, func(t *testing.T, p peer) {
		t.Run("Handle", func(t *testing.T) { test(t, p, false) })
		t.Run("HandleAsync", func(t *testing.T) { test(t, p, true) })
	})
}

// askTyped calls a method on the loop and waits for the end.
func askTyped[Req, Resp any](f *fixture, c *rpc.Client, m *rpc.Method[Req, Resp], req Req) (resp Resp, err error) {
	f.t.Helper()
	ends := 0
	must(f.t, m.Go(c, req, func(r Resp, e error) { ends, resp, err = ends+1, r, e }))
	f.until(func() bool { return ends > 0 })
	if ends != 1 {
		f.t.Errorf("the call ended %d times", ends)
	}
	return resp, err
}

func TestTypedCallsReachTheirMethods(t *testing.T) {
	eachTyped(t, func(t *testing.T, p peer, async bool) {
		f := newFixture(t)
		c := f.typed(p, async, rpc.Config{})
		for _, o := range []order{{}, {"pen", 3, map[string]string{"pen": "blue ünïcode\x00<&>"}}, {strings.Repeat("long", 50_000), 2, nil}} {
			for _, m := range []*rpc.Method[order, receipt]{jsonOrder, cborOrder, gobOrder} {
				got, err := askTyped(f, c, m, o)
				if err != nil || !sameReceipt(got, fill(o)) {
					t.Errorf("%s: %.100v, %v", m.Name(), got, err)
				}
			}
		}
		joined, err := askTyped(f, c, stringJoin, []string{"a", "", "b"})
		if joined != "a++b" || err != nil {
			t.Errorf("joined %q, %v", joined, err)
		}
		for _, size := range []int{0, 1, 127, 128, 1 << 14, 1<<21 + 1} {
			want := strings.Repeat("x", size)
			if got, err := askTyped(f, c, stringMirror, want); got != want || err != nil {
				t.Errorf("%d bytes came back as %d, %v", size, len(got), err)
			}
		}
	})
}

func sameReceipt(a, b receipt) bool {
	return a.Total == b.Total && len(a.Lines) == len(b.Lines) && (len(a.Lines) == 0 || reflect.DeepEqual(a, b))
}

func TestTypedCallFromAGoroutine(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		c := f.typed(p, false, rpc.Config{})
		f.background()
		o := order{Item: "cup", Count: 2}
		for _, m := range []*rpc.Method[order, receipt]{jsonOrder, cborOrder, gobOrder} {
			got, err := m.Call(t.Context(), c, o)
			if err != nil || !reflect.DeepEqual(got, fill(o)) {
				t.Errorf("%s: %v, %v", m.Name(), got, err)
			}
		}
		raw, err := rawMirror.Call(t.Context(), c, []byte("bytes"))
		if string(raw) != "bytes" || err != nil {
			t.Errorf("%q, %v", raw, err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := rawMirror.Call(ended, c, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("a call under an ended ctx ends with %v", err)
		}
	})
}

// A view of rawcodec is the bytes of its own call, while the callback runs.
func TestRawViewsAreOfTheirOwnCalls(t *testing.T) {
	eachTyped(t, func(t *testing.T, p peer, async bool) {
		f := newFixture(t)
		c := f.typed(p, async, rpc.Config{})
		ends := 0
		for i := range 500 {
			want := strings.Repeat(fmt.Sprint(i, " "), i%50)
			must(t, rawMirror.Go(c, []byte(want), func(got []byte, err error) {
				ends++
				if string(got) != want || err != nil {
					t.Errorf("call %d: %q, %v", i, got, err)
				}
			}))
		}
		f.until(func() bool { return ends == 500 })
	})
}

func TestDisagreementsAreMethodErrors(t *testing.T) {
	for _, async := range []bool{false, true} {
		eachServer(t, func(t *testing.T, p peer) {
			f := newFixture(t)
			c := f.typed(p, async, rpc.Config{})
			_, unknown := askTyped(f, c, absent, "x")
			_, mismatch := askTyped(f, c, otherCodec, order{})
			_, badRequest := askTyped(f, c, otherTypes, []int{1})
			_, badReply := askTyped(f, c, otherReply, order{})
			_, unencodable := askTyped(f, c, loudReply, "")
			for _, test := range []struct {
				err, kind error
				text      string
				remote    bool
			}{
				{unknown, rpc.ErrUnknownMethod, `method "not there": unknown method: the other side has crash, double, fail, join`, true},
				{mismatch, rpc.ErrCodecMismatch, `method "order json": codec mismatch: the caller encodes with "cbor", the other side with "json"`, true},
				{badRequest, rpc.ErrBadRequest, `method "order json": bad request: json: cannot unmarshal array`, true},
				{badReply, rpc.ErrBadReply, `method "order json": bad reply: json: cannot unmarshal object`, false},
				{unencodable, rpc.ErrBadReply, `method "loud": bad reply: json: unsupported type: chan int`, true},
			} {
				var method *rpc.MethodError
				var remote *rpc.RemoteError
				if !errors.As(test.err, &method) || !errors.Is(test.err, test.kind) || !strings.Contains(test.err.Error(), test.text) {
					t.Errorf("got %v, want %s", test.err, test.text)
				}
				if errors.As(test.err, &remote) != test.remote {
					t.Errorf("%v: from the other side is %v", test.err, !test.remote)
				}
			}
			if got, err := askTyped(f, c, stringMirror, "still here"); got != "still here" || err != nil {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// On AnyEvent's wire there are no error replies: the child says it as it dies.
func TestDisagreementOnAnyEventsWireEndsTheChild(t *testing.T) {
	f := newFixture(t)
	c := f.typed(peer{transport: "pipes", server: "sync", wire: rpc.AnyEventAsync}, false, rpc.Config{})
	_, err := askTyped(f, c, absent, "x")
	var exit *child.ExitError
	if !errors.As(err, &exit) || exit.State.Code != 1 || !strings.Contains(string(exit.State.Stderr), "the other side has crash, double") {
		t.Errorf("the call ended with %v", err)
	}
}

func TestTypedHandlersErrorAndPanicAreRemoteErrors(t *testing.T) {
	for _, async := range []bool{false, true} {
		eachServer(t, func(t *testing.T, p peer) {
			f := newFixture(t)
			c := f.typed(p, async, rpc.Config{})
			var remote *rpc.RemoteError
			var method *rpc.MethodError
			_, err := askTyped(f, c, failing, "sold out")
			if !errors.As(err, &remote) || remote.Message != "sold out" || remote.Kind != rpc.KindError || errors.As(err, &method) {
				t.Errorf("the error became %#v", err)
			}
			_, err = askTyped(f, c, panicky, "mind the gap")
			if !errors.As(err, &remote) || remote.Message != "mind the gap" || remote.Kind != rpc.KindPanic || !strings.Contains(remote.Stack, "typedMux") {
				t.Errorf("the panic became %#v", err)
			}
			// What a handler has from a call of its own is an error like any other.
			_, err = askTyped(f, c, nested, "")
			if !errors.As(err, &remote) || remote.Kind != rpc.KindError || errors.As(err, &method) {
				t.Errorf("the inner call's error became %#v", err)
			}
		})
	}
}

func TestTypedCallOfADyingChildIsLost(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		c := f.typed(p, false, rpc.Config{})
		_, err := askTyped(f, c, crashing, "last words")
		var exit *child.ExitError
		if !isLost(err) || !errors.As(err, &exit) || string(exit.State.Stderr) != "last words" {
			t.Errorf("the call ended with %v", err)
		}
		if err := rawMirror.Go(c, nil, func([]byte, error) { t.Error("the call that was not made ended") }); !isLost(err) {
			t.Errorf("the next call: %v", err)
		}
	})
}

// A request that cannot be encoded is no call: nothing was queued for it.
func TestRequestThatCannotBeEncodedIsRefused(t *testing.T) {
	f := newFixture(t)
	c := f.typed(pipes("sync"), false, rpc.Config{MaxFrame: 1000})
	bad := rpc.NewMethod[chan int, string]("mirror strings", jsoncodec.Codec{})
	wrong := rpc.NewMethod[order, string]("mirror strings", stringcodec.Codec{})
	never := func(string, error) { t.Error("a call that was not made has ended") }
	if err := bad.Go(c, nil, never); !errors.Is(err, rpc.ErrBadRequest) {
		t.Errorf("a channel: %v", err)
	}
	if err := wrong.Go(c, order{}, never); !errors.Is(err, rpc.ErrBadRequest) || !strings.Contains(err.Error(), "*rpc_test.order") {
		t.Errorf("a struct: %v", err)
	}
	if err := stringMirror.Go(c, strings.Repeat("x", 1000), never); err != rpc.ErrTooLarge {
		t.Errorf("a long request: %v", err)
	}
	if c.InFlight() != 0 {
		t.Errorf("%d calls are in flight", c.InFlight())
	}
	if got, err := askTyped(f, c, stringMirror, "small"); got != "small" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	must(t, stringMirror.Go(c, "nobody waits", nil))
	f.until(func() bool { return c.InFlight() == 0 })
}

// bomb is a codec whose user code fails badly.
type bomb struct{ jsoncodec.Codec }

func (bomb) Append([]byte, any) ([]byte, error) { panic("boom") }

func TestPanicOfACodecQueuesNothing(t *testing.T) {
	f := newFixture(t)
	c := f.typed(pipes("sync"), false, rpc.Config{})
	m := rpc.NewMethod[string, string]("mirror strings", bomb{})
	func() {
		defer func() {
			if recover() != "boom" {
				t.Error("the codec's panic did not arrive")
			}
		}()
		m.Go(c, "x", nil)
	}()
	must(t, f.Verify())
	if got, err := askTyped(f, c, stringMirror, "small"); got != "small" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// What is no typed call at all is an error of that call alone.
func TestUntypedCallsToAMuxAreRefused(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		c := f.typed(p, false, rpc.Config{})
		for _, args := range [][]string{{}, {"mirror"}} {
			_, err := f.ask(c, args...)
			var remote *rpc.RemoteError
			if !errors.As(err, &remote) || remote.Kind != rpc.KindBadRequest {
				t.Errorf("%q: %v", args, err)
			}
		}
		// A caller that does not name its codec, as one in Perl, is believed.
		if reply, err := f.ask(c, "join", string(rpc.Strings("a", "b"))); err != nil || len(reply) != 1 || reply[0] != string(rpc.Strings("a+b")) {
			t.Errorf("%q, %v", reply, err)
		}
	})
}

// A handler is not called with what is no request of its.
func TestHandlerIsNotCalledWithARequestThatCannotBeDecoded(t *testing.T) {
	for _, server := range []string{"sync", "async", "goroutines"} {
		t.Run(server, func(t *testing.T) {
			f := newFixture(t)
			mux := rpc.NewMux()
			double.Handle(mux, func(context.Context, job) (int, error) {
				t.Error("a handler was called")
				return 0, nil
			})
			stringMirror.HandleAsync(mux, func(_ string, answer rpc.Answer[string]) {
				t.Error("a handler that answers later was called")
				answer.Reply("")
			})
			c := f.typedHere(peer{transport: "socketpair", server: server}, mux, rpc.Config{})
			for _, name := range []string{double.Name(), stringMirror.Name()} {
				_, err := f.ask(c, name, "{")
				var remote *rpc.RemoteError
				if !errors.As(err, &remote) || remote.Kind != rpc.KindBadRequest {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

func TestSecondHandlerOfAMethodPanics(t *testing.T) {
	mux := rpc.NewMux()
	handler := func(_ context.Context, s string) (string, error) { return s, nil }
	absent.Handle(mux, handler)
	defer func() {
		if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), `"not there"`) {
			t.Errorf("the panic is %v", r)
		}
	}()
	absent.Handle(mux, handler)
}

// The bytes of docs/protocol.md.
func TestGoldenTypedCall(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	c := f.client(transport, peer{wire: rpc.AnyEventAsync}, rpc.Config{})
	reply := ""
	must(t, stringMirror.Go(c, "hi", func(r string, err error) { must(t, err); reply = r }))
	must(t, f.Poll(0))
	want := frame(1, "\x0emirror strings"+"\x80\x80\x80\x80\x03\x02hi"+"\x06string")
	if got := readOneFrame(t, file, 8); got != want {
		t.Errorf("the call is %q", got)
	}
	_, err := file.WriteString(frame(1, "\x03\x02ho")) // a length without leading zero groups
	must(t, err)
	f.until(func() bool { return reply == "ho" })
}

// Whatever a caller sends, a Mux replies or refuses, and nothing else happens.
func FuzzMux(f *testing.F) {
	f.Add([]byte(rpc.Strings("double", `{"N":3}`, "json")))
	f.Add([]byte(rpc.Strings("order cbor", "\xa1\x64item\x63pen", "cbor")))
	f.Add([]byte(rpc.Strings("mirror", "bytes")))
	f.Add([]byte("\x06double\x80\x80\x80\x80\x02{}\x04json"))
	mux := rpc.NewMux()
	double.HandleAsync(mux, func(j job, answer rpc.Answer[int]) { answer.Reply(j.N) })
	cborOrder.Handle(mux, func(_ context.Context, o order) (receipt, error) { return receipt{Total: int64(o.Count)}, nil })
	rawMirror.Handle(mux, func(_ context.Context, b []byte) ([]byte, error) { return b, nil })
	sync, goroutines := mux.Sync(), mux.Goroutines()
	f.Fuzz(func(t *testing.T, data []byte) {
		a, errA := sync(t.Context(), data)
		b, errB := goroutines(t.Context(), data)
		if string(a) != string(b) || fmt.Sprint(errA) != fmt.Sprint(errB) {
			t.Errorf("the handlers differ: %q, %v; %q, %v", a, errA, b, errB)
		}
		if errA == nil {
			if values, err := a.Strings(); err != nil || len(values) != 1 {
				t.Errorf("the reply is %q", a)
			}
		}
	})
}
