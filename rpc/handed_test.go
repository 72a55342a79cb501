package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/codec/cborcodec"
	"github.com/evfork/evfork/rpc/codec/jsoncodec"
)

// edgyCodec is CBOR, but panics at a value that says so.
type edgyCodec struct{ cborcodec.Codec }

const edge = "panic"

func (c edgyCodec) Append(buf []byte, value any) ([]byte, error) {
	if s, ok := value.(*string); ok && *s == edge {
		panic("of Append")
	}
	return c.Codec.Append(buf, value)
}

func (c edgyCodec) Decode(data []byte, value any) error {
	s := value.(*string)
	if *s != "" {
		return errors.New("the value is not zero")
	}
	err := c.Codec.Decode(data, value)
	if *s == edge {
		panic("of Decode")
	}
	return err
}

var (
	handedStrings = rpc.NewMethod[string, string]("strings", cborcodec.Codec{})
	edgyStrings   = rpc.NewMethod[string, string]("edgy", edgyCodec{})
	shyReplies    = rpc.NewMethod[string, shy]("shy", cborcodec.Codec{})
)

// shy is decoded only when as many are being decoded at the same time as there are.
type shy struct{}

var shyOnes sync.WaitGroup

func (*shy) UnmarshalCBOR([]byte) error {
	shyOnes.Done()
	shyOnes.Wait()
	return nil
}

// eachHanded runs a test with two codecs: calls of one are handed over, of the other not.
func eachHanded(t *testing.T, name string, fn func(t *testing.T, codec rpc.Codec)) {
	t.Helper()
	for _, codec := range []rpc.Codec{cborcodec.Codec{}, jsoncodec.Codec{}} {
		t.Run(strings.TrimSpace(name+" "+codec.Name()), func(t *testing.T) { fn(t, codec) })
	}
}

// ending is how a Call of a goroutine has ended.
type ending[Resp any] struct {
	resp     Resp
	err      error
	panicked any
}

// callers are goroutines of which each makes one call, number i the call with id i+1, to a peer
// that the test is itself.
type callers[Req, Resp any] struct {
	f      *fixture
	c      *rpc.Client
	peer   *os.File
	method *rpc.Method[Req, Resp]
	ends   []ending[Resp] // with room for one more
	all    sync.WaitGroup
}

func newCallers[Req, Resp any](f *fixture, m *rpc.Method[Req, Resp], config rpc.Config, requests []Req) *callers[Req, Resp] {
	f.t.Helper()
	transport, file := f.stranger()
	g := &callers[Req, Resp]{f: f, c: f.client(transport, peer{}, config), peer: file, method: m, ends: make([]ending[Resp], len(requests), len(requests)+1)}
	if goroutinesParkLate {
		rpc.ParkLate(g.c)
	}
	for i, req := range requests {
		g.call(i, req)
		f.until(func() bool { return g.c.InFlight() == i+1 })
	}
	return g
}

// call makes call number i.
func (g *callers[Req, Resp]) call(i int, req Req) {
	e := &g.ends[i]
	g.all.Go(func() {
		defer func() { e.panicked = recover() }()
		e.resp, e.err = g.method.Call(context.Background(), g.c, req)
	})
}

// answer sends what the peer says, all at once, and waits until every call has ended.
func (g *callers[Req, Resp]) answer(frames ...string) {
	g.f.t.Helper()
	_, err := g.peer.WriteString(hello + strings.Join(frames, ""))
	must(g.f.t, err)
	g.f.until(func() bool { return g.c.InFlight() == 0 })
	g.all.Wait()
}

// cborReply is the frame of a reply.
func cborReply(t *testing.T, id int, value any) string {
	t.Helper()
	encoded, err := cborcodec.Codec{}.Append(nil, &value)
	must(t, err)
	return frame(uint32(id), string(rpc.Strings(string(encoded))))
}

func TestRepliesThatComeTogetherReachTheirCallers(t *testing.T) {
	eachProcessors(t, repliesReachTheirCallers)
}

func repliesReachTheirCallers(t *testing.T) {
	f := newFixture(t)
	g := newCallers(f, handedStrings, rpc.Config{}, make([]string, 5*rpc.BatchReplies+70))
	var frames []string
	kind := func(i int) int { return i % 5 }
	for i := range g.ends {
		switch kind(i) {
		case 0:
			frames = append(frames, frame(errorKind|uint32(i+1), string(rpc.Strings(fmt.Sprint("no ", i), "error", ""))))
		case 1:
			frames = append(frames, cborReply(t, i+1, fmt.Sprint(strings.Repeat("long", rpc.SmallReply), i)))
		case 2:
			frames = append(frames, cborReply(t, i+1, i))
		default:
			frames = append(frames, cborReply(t, i+1, fmt.Sprint("short ", i)))
		}
	}
	rand.Shuffle(len(frames), func(i, j int) { frames[i], frames[j] = frames[j], frames[i] })
	g.answer(frames...)
	for i, e := range g.ends {
		var remote *rpc.RemoteError
		var bad *rpc.MethodError
		switch {
		case kind(i) == 0 && errors.As(e.err, &remote) && remote.Message == fmt.Sprint("no ", i):
		case kind(i) == 1 && e.err == nil && e.resp == fmt.Sprint(strings.Repeat("long", rpc.SmallReply), i):
		case kind(i) == 2 && errors.As(e.err, &bad) && errors.Is(e.err, rpc.ErrBadReply) && e.resp == "":
		case kind(i) > 2 && e.err == nil && e.resp == fmt.Sprint("short ", i):
		default:
			t.Errorf("call %d: %.20q, %v", i, e.resp, e.err)
		}
		if e.panicked != nil {
			t.Errorf("call %d panicked: %v", i, e.panicked)
		}
	}
}

// A codec that panics as it decodes does so in the Call whose reply it is, whoever that is in the batch.
func TestPanicOfDecodeIsItsCallersOnly(t *testing.T) {
	eachProcessors(t, panicOfDecodeIsItsCallersOnly)
}

func panicOfDecodeIsItsCallersOnly(t *testing.T) {
	const calls = rpc.BatchReplies
	for _, at := range [][]int{{0}, {calls / 2}, {calls - 1}, {1, 2, calls / 2}, {0, calls - 1}} {
		f := newFixture(t)
		g := newCallers(f, edgyStrings, rpc.Config{}, make([]string, calls))
		var frames []string
		for i := range g.ends {
			value := fmt.Sprint(i)
			if slices.Contains(at, i) {
				value = edge
			}
			frames = append(frames, cborReply(t, i+1, value))
		}
		g.answer(frames...)
		for i, e := range g.ends {
			want := ending[string]{resp: fmt.Sprint(i)}
			if slices.Contains(at, i) {
				want = ending[string]{panicked: "of Decode"}
			}
			if e != want {
				t.Errorf("with a panic at %v call %d has ended: %+v", at, i, e)
			}
		}
	}
}

// Neither is a panic of Append the loop's, nor is anything left in the stream.
func TestPanicOfAppendIsItsCallersOnly(t *testing.T) {
	f := newFixture(t)
	g := newCallers(f, edgyStrings, rpc.Config{}, []string{"first", "to be second"})
	var e ending[string]
	ended := make(chan struct{})
	f.Hold()
	go func() {
		defer f.Post(func() { close(ended) })
		defer func() { e.panicked = recover() }()
		e.resp, e.err = edgyStrings.Call(t.Context(), g.c, edge)
	}()
	f.until(func() bool {
		select {
		case <-ended:
			return true
		default:
			return false
		}
	})
	if e != (ending[string]{panicked: "of Append"}) {
		t.Errorf("the call has ended: %+v", e)
	}
	must(t, f.Verify())
	g.ends = g.ends[:3]
	g.call(2, "third")
	f.until(func() bool { return g.c.InFlight() == 3 })
	g.answer(cborReply(t, 1, "one"), cborReply(t, 2, "two"), cborReply(t, 3, "three"))
	if want := []ending[string]{{resp: "one"}, {resp: "two"}, {resp: "three"}}; !slices.Equal(g.ends, want) {
		t.Errorf("the others have ended: %+v", g.ends)
	}
	readOneFrame(t, g.peer, 8) // the client's hello
	for _, want := range []string{"first", "to be second", "third"} {
		if call := readOneFrame(t, g.peer, 8); !strings.Contains(call, want) {
			t.Errorf("%q was sent instead of %q", call, want)
		}
	}
}

// onceCodec is CBOR, but panics at the first "panic" and returns fails for the second.
type onceCodec struct {
	cborcodec.Codec
	panicked *bool
	fails    error
}

func (c onceCodec) Append(buf []byte, value any) ([]byte, error) {
	if s, ok := value.(*string); ok && *s == edge {
		if !*c.panicked {
			*c.panicked = true
			panic("of the first Append")
		}
		if c.fails != nil {
			return nil, c.fails
		}
	}
	return c.Codec.Append(buf, value)
}

// A request whose codec has panicked on the loop is encoded again by its caller's goroutine, and that is what counts.
func TestRequestWhoseCodecHasPanickedIsEncodedByItsCaller(t *testing.T) {
	for _, fails := range []error{nil, errors.New("not this time")} {
		f := newFixture(t)
		panicked := false
		m := rpc.NewMethod[string, string]("once", onceCodec{panicked: &panicked, fails: fails})
		transport, file := f.stranger()
		c := f.client(transport, peer{}, rpc.Config{})
		_, err := file.WriteString(hello)
		must(t, err)
		f.until(func() bool { return rpc.Greeted(c) })
		f.background()
		if fails == nil {
			go func() { // the child
				readBytes(file, len(clientHello)+8)
				_, err := file.WriteString(cborReply(t, 1, "one"))
				if err != nil {
					t.Error(err)
				}
			}()
		}
		resp, err := m.Call(t.Context(), c, edge)
		if bad := errors.Is(err, rpc.ErrBadRequest) && errors.Is(err, fails); !panicked || fails != nil && !bad || fails == nil && (err != nil || resp != "one") {
			t.Errorf("the codec has panicked: %v; the call ended with %q, %v", panicked, resp, err)
		}
	}
}

// Methods of a reply's type may wait, for another call, or for each other.
func TestReplyWithMethodsIsDecodedByItsOwnGoroutine(t *testing.T) {
	f := newFixture(t)
	g := newCallers(f, shyReplies, rpc.Config{}, make([]string, 20))
	shyOnes.Add(len(g.ends))
	var frames []string
	for i := range g.ends {
		frames = append(frames, cborReply(t, i+1, i))
	}
	g.answer(frames...)
	for i, e := range g.ends {
		if e.err != nil || e.panicked != nil {
			t.Errorf("call %d has ended: %+v", i, e)
		}
	}
}

// A callback that panics behind replies keeps them from nobody.
func TestPanicOfACallbackKeepsNoReplyBack(t *testing.T) {
	f := newFixture(t)
	g := newCallers(f, handedStrings, rpc.Config{OnEvent: func(rpc.Payload) { panic("in a callback") }}, make([]string, 3))
	_, err := g.peer.WriteString(hello + cborReply(t, 1, "a") + cborReply(t, 2, "b") + cborReply(t, 3, "c") + frame(0, "an event"))
	must(t, err)
	f.runIntoPanic()
	g.all.Wait()
	if want := []ending[string]{{resp: "a"}, {resp: "b"}, {resp: "c"}}; !slices.Equal(g.ends, want) {
		t.Errorf("the calls have ended: %+v", g.ends)
	}
}

// A call that waits for room ends with the client.
func TestHandedCallThatWaitsForRoomEndsWithTheClient(t *testing.T) {
	f := newFixture(t)
	var w watched
	g := newCallers(f, handedStrings, w.config(rpc.Config{MaxInFlight: 1}), make([]string, 1))
	g.ends = g.ends[:2]
	g.call(1, "waiting")
	f.until(func() bool { return rpc.AnyWaiting(g.c) })
	must(t, g.peer.Close())
	f.until(w.ended)
	g.all.Wait()
	for i, e := range g.ends {
		var lost *rpc.LostError
		if !errors.As(e.err, &lost) || i == 1 && lost.Started {
			t.Errorf("call %d has ended: %+v", i, e)
		}
	}
	if _, err := handedStrings.Call(t.Context(), g.c, "late"); !errors.As(err, new(*rpc.LostError)) {
		t.Errorf("a later call ends with %v", err)
	}
}

// When Call has returned, for whatever reason, the request is the caller's again. The race detector
// would tell, and so does the runtime, of a map.
func TestRequestIsNotReadOnceCallHasReturned(t *testing.T) {
	if !rpc.Hands(cborOrder, order{Notes: map[string]string{"": ""}}) {
		t.Fatal("the call is not handed over")
	}
	f := newFixture(t)
	c := f.typed(pipes("async"), true, rpc.Config{MaxInFlight: 20})
	f.background()
	var goroutines sync.WaitGroup
	for range 50 {
		goroutines.Go(func() {
			notes := map[string]string{}
			for i := range 20 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(1000))*time.Microsecond)
				o := order{Item: "pen", Count: i, Notes: notes}
				got, err := cborOrder.Call(ctx, c, o)
				cancel()
				if err == nil && !sameReceipt(got, fill(o)) || err != nil && !errors.Is(err, rpc.ErrDeadline) {
					t.Errorf("%v, %v", got, err)
				}
				notes["pen"] = fmt.Sprint(i)
			}
		})
	}
	goroutines.Wait()
	must(t, c.ShutdownWait(t.Context()))
}

func TestTypedCallOfNumbersAllocatesNothing(t *testing.T) {
	skipWithRaceDetector(t)
	f := newFixture(t)
	c := f.typed(pipes("sync"), false, rpc.Config{})
	f.background()
	call := func() {
		if got, err := cborNumbers.Call(t.Context(), c, pair{A: 1, B: 2.5}); err != nil || got != (pair{A: 1, B: 2.5}) {
			t.Fatal(got, err)
		}
	}
	for range warmUp {
		call()
	}
	if allocs := testing.AllocsPerRun(1000, call); allocs >= 1 {
		t.Errorf("a call allocates %v times", allocs)
	}
}

type (
	marshaling struct{ N int }
	inner      struct{ Names []string }
	recursive  struct{ Next *recursive }
	nestedOne  struct {
		When  time.Time
		Where *inner
		Lists [2][][]int
		inner
		hidden func()
	}
)

func (marshaling) MarshalBinary() ([]byte, error) { return nil, nil }

type markedByte byte

func (markedByte) MarshalBinary() ([]byte, error) { return nil, nil }

func hands[T any](req T) bool {
	return rpc.Hands(rpc.NewMethod[T, int]("", cborcodec.Codec{}), req)
}

func handsReply[T any]() bool {
	return rpc.Hands(rpc.NewMethod[int, T]("", cborcodec.Codec{}), 1)
}

func TestCallsWithSmallValuesAreHandedOver(t *testing.T) {
	few, many := make([]int, 64), make([]int, 65)
	lists := func(n int) (l [][]int) {
		for range n {
			l = append(l, make([]int, 3))
		}
		return l
	}
	for what, is := range map[string][2]bool{
		"a number":                         {hands(1), true},
		"a long string":                    {hands(strings.Repeat("x", 1<<20)), true},
		"many bytes":                       {hands(make([]byte, 1<<20)), true},
		"few elements":                     {hands(few), true},
		"many elements":                    {hands(many), false},
		"few pairs":                        {hands(map[string]int{"a": 1}), true},
		"a map of lists":                   {hands(map[string][]int{}), false},
		"few in lists of lists":            {hands(lists(16)), true},
		"many in lists of lists":           {hands(lists(17)), false},
		"a struct":                         {hands(nestedOne{Where: &inner{}, hidden: func() {}}), true},
		"many behind a pointer":            {hands(nestedOne{Where: &inner{make([]string, 65)}}), false},
		"many in an embedded struct":       {hands(nestedOne{inner: inner{make([]string, 65)}}), false},
		"many in an array":                 {hands(nestedOne{Lists: [2][][]int{lists(10), lists(10)}}), false},
		"a small array":                    {hands([3]int{}), true},
		"a pointer to a number":            {hands(new(int)), true},
		"a large array":                    {hands([129]int64{}), false},
		"a list of large arrays":           {hands([][129]int64{}), false},
		"the largest array":                {hands([128]int64{}), true},
		"few pointers, all nil":            {hands(make([]*[]int, 64)), true},
		"an array of anything":             {hands([2]any{}), false},
		"a map of anything":                {hands(map[string]any{}), false},
		"a list of those maps":             {hands([]map[string]any{}), false},
		"an array of those maps":           {hands([2]map[string]any{}), false},
		"a pointer to such a map":          {hands(&map[string]any{}), false},
		"a map by pointers to lists":       {hands(map[*[]int]int{}), false},
		"bytes with a method":              {hands([]markedByte{}), false},
		"an interface":                     {hands(struct{ A any }{}), false},
		"a recursive type":                 {hands(recursive{}), false},
		"a type with a method":             {hands(marshaling{}), false},
		"a list of those":                  {hands([]marshaling{}), false},
		"a pointer to one":                 {hands(&marshaling{}), false},
		"a map of them":                    {hands(map[marshaling]int{}), false},
		"a method of the reply's type":     {handsReply[*shy](), false},
		"a method of a part of the reply":  {handsReply[struct{ S []shy }](), false},
		"a reply of any length":            {handsReply[[][]string](), true},
		"a reply that may be anything":     {handsReply[any](), false},
		"a codec that does not say":        {rpc.Hands(rpc.NewMethod[int, int]("", jsoncodec.Codec{}), 1), false},
		"a time, and nothing but the time": {hands(time.Time{}), true},
	} {
		if is[0] != is[1] {
			t.Errorf("with %s: %v", what, is[0])
		}
	}
}

// What cborcodec says of a type is true of what package cbor does with it.
func TestCodecTellsWhoseMethodsItCalls(t *testing.T) {
	for _, typ := range []reflect.Type{reflect.TypeFor[marshaling](), reflect.TypeFor[*shy](), reflect.TypeFor[shy](), reflect.TypeFor[interface{ IsZero() bool }]()} {
		if !(cborcodec.Codec{}).CallsMethods(typ) {
			t.Errorf("no method of %v is called", typ)
		}
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[order](), reflect.TypeFor[int](), reflect.TypeFor[time.Duration]()} {
		if (cborcodec.Codec{}).CallsMethods(typ) {
			t.Errorf("a method of %v is called", typ)
		}
	}
}
