package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/rpc"
)

const (
	cancelKind = 0x30000000
	upcallKind = 0x50000000
)

// helloTaking is the hello of a parent that takes so many calls of its child.
func helloTaking(calls string) string {
	return frame(helloWord, string(rpc.Strings("evfork", "1", "features", "cancel calls metadata", "calls", calls)))
}

// asking is a handler that calls the parent for each request that begins with "ask", and
// answers with the request and what the parent has said.
type asking struct {
	hurry chan struct{} // has it give up, if it is impatient
}

func (a *asking) handle(ctx context.Context, request rpc.Payload) (rpc.Payload, error) {
	args, err := request.Strings()
	if err != nil || args[0] != "ask" {
		return request, err
	}
	if args[1] == "impatiently" {
		derived, cancel := context.WithCancel(ctx)
		defer cancel()
		go func() { <-a.hurry; cancel() }()
		ctx = derived
	}
	reply, err := rpc.CallParent(ctx, args[1:]...)
	switch {
	case err != nil && args[1] == "or panic":
		panic(err)
	case err != nil:
		return nil, err
	}
	return append(slices.Clone(request), reply...), nil
}

func errorReply(id uint32, err error, kind string) string {
	return frame(errorKind|id, string(rpc.Strings(err.Error(), kind, "")))
}

// syncTalk is what a sync server with an asking handler hears, and says to it, in turn; what
// it says last is after the end of its input.
type syncTalk struct {
	name  string
	steps []string
	fails string // part of the server's error
}

var (
	ask1    = frame(1, "\x03ask\x03one")
	asked1  = frame(upcallKind|1, "\x03one")
	yes1    = frame(upcallKind|1, "\x03yes")
	cancel1 = frame(cancelKind|1, "")

	errParentEnded = fmt.Errorf("%w: the parent has closed its side", rpc.ErrShutdown)
)

var syncTalks = []syncTalk{{
	name: "calls wait for their turn",
	steps: []string{ask1 + frame(2, "\x01b") + frame(3, "\x01c"), asked1, yes1 + frame(4, "\x01d"),
		frame(1, "\x03ask\x03one\x03yes") + frame(2, "\x01b") + frame(3, "\x01c") + frame(4, "\x01d")},
}, {
	name: "those that waited ask, too",
	steps: []string{ask1 + frame(2, "\x03ask\x03two"), asked1, frame(3, "\x01c") + yes1, frame(1, "\x03ask\x03one\x03yes") + frame(upcallKind|2, "\x03two"),
		frame(4, "\x01d") + frame(upcallKind|2, "\x02no"), frame(2, "\x03ask\x03two\x02no") + frame(3, "\x01c") + frame(4, "\x01d")},
}, {
	name: "error reply",
	steps: []string{ask1, asked1, frame(errorKind|1, "\x03why\x05error\x00") + frame(2, "\x01b"),
		errorReply(1, errors.New("rpc: handler failed: why"), rpc.KindError) + frame(2, "\x01b")},
}, {
	name: "cancels of calls that wait",
	steps: []string{ask1 + frame(2, "\x01b") + frame(3, "\x01c"), asked1, frame(cancelKind|2, "") + yes1 + frame(4, "\x01d"),
		frame(1, "\x03ask\x03one\x03yes") + errorReply(2, rpc.ErrCanceled, rpc.KindCanceled) + frame(3, "\x01c") + frame(4, "\x01d")},
}, {
	name: "cancel of the call that waits for the parent",
	steps: []string{ask1 + frame(2, "\x01b"), asked1, cancel1 + frame(3, "\x01c"),
		cancel1 + errorReply(1, rpc.ErrCanceled, rpc.KindCanceled) + frame(2, "\x01b") + frame(3, "\x01c"), yes1 + frame(4, "\x01d"), frame(4, "\x01d")},
}, {
	name: "abandoned calls count until they are answered",
	steps: []string{ask1 + frame(2, "\x03ask\x03two"), asked1, cancel1, cancel1 + errorReply(1, rpc.ErrCanceled, rpc.KindCanceled),
		frame(3, "\x01c") + yes1, frame(upcallKind|2, "\x03two"), frame(upcallKind|2, ""), frame(2, "\x03ask\x03two") + frame(3, "\x01c")},
}, {
	name: "end of a ctx of the handler's own",
	steps: []string{frame(1, "\x03ask\x0bimpatiently") + frame(2, "\x01b"), frame(upcallKind|1, "\x0bimpatiently"), "",
		cancel1 + errorReply(1, rpc.ErrCanceled, rpc.KindCanceled) + frame(2, "\x01b"), "", ""},
}, {
	name: "deadline of the call that waits for the parent",
	steps: []string{metaCall(1, deadlineBlock(0, int64(50*time.Millisecond)), "\x03ask\x03one") + frame(2, "\x01b"), asked1, "",
		cancel1 + errorReply(1, rpc.ErrDeadline, rpc.KindDeadline) + frame(2, "\x01b"), "", ""},
}, {
	name: "the parent closes its side",
	steps: []string{ask1 + frame(2, "\x01b") + frame(3, "\x03ask\x01c"), asked1, "",
		errorReply(1, &rpc.LostError{Cause: errParentEnded, Started: true}, rpc.KindError) + frame(2, "\x01b") + errorReply(3, errParentEnded, rpc.KindError)},
}, {
	name:  "the parent ends in the middle of a frame",
	steps: []string{ask1 + frame(2, "0123456789")[:13], asked1},
	fails: "in the middle of a frame, after 13 bytes",
}, {
	name:  "a frame that is too long",
	steps: []string{ask1 + frame(2, "\x01b"), asked1, "\x00\x00\x00\x01\xff\xff\xff\xff"},
	fails: "frame of 4294967295 bytes, more than the limit of 1048576",
}, {
	name:  "a second answer",
	steps: []string{ask1 + frame(2, "\x03ask\x03two"), asked1, yes1 + yes1},
	fails: "the parent sent a frame of kind 5 with id 1, and no such call is open",
}, {
	name:  "a second answer, and a handler that panics for it",
	steps: []string{frame(1, "\x03ask\x08or panic"), frame(upcallKind|1, "\x08or panic"), frame(upcallKind|2, "")},
	fails: "the parent sent a frame of kind 5 with id 2, and no such call is open",
}, {
	name:  "a frame of another kind",
	steps: []string{ask1 + frame(0x70000001, ""), asked1, yes1},
	fails: "the parent sent a frame of kind 7 with id 1",
}}

func TestSyncServerReadsOnWhileAHandlerWaits(t *testing.T) {
	for _, c := range syncTalks {
		t.Run(c.name, func(t *testing.T) {
			for _, piece := range []int{1, 3, 8, 11, 20, 1 << 20} {
				newFixture(t)
				talk(t, helloTaking("1"), c, piece)
			}
		})
	}
}

// talk has a syncTalk with a sync server, in pieces of so many bytes.
func talk(t *testing.T, hello string, c syncTalk, piece int) {
	t.Helper()
	ours, theirs := socketpair(t)
	patience := unix.NsecToTimeval(int64(guard))
	must(t, unix.SetsockoptTimeval(ours, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience))
	file := fileOf(ours)
	defer file.Close()
	ended, a := make(chan error), asking{hurry: make(chan struct{}, 1)}
	go func() {
		s, err := rpc.NewServer(sameFD(theirs), rpc.ServerConfig{MaxFrame: 1 << 20})
		if err == nil {
			err = s.ServeSync(a.handle)
		}
		unix.Close(theirs)
		ended <- err
	}()
	if got := readBytes(file, len(ourHello)); got != ourHello {
		t.Fatalf("the server greets with %q", got)
	}
	say := func(text string) {
		for p := range slices.Chunk([]byte(text), piece) {
			if _, err := file.Write(p); err != nil && c.fails == "" {
				t.Fatal(err)
			}
		}
	}
	say(hello)
	for i, text := range c.steps {
		last := i == len(c.steps)-1
		if i%2 == 0 {
			say(text)
			if i >= len(c.steps)-2 {
				must(t, unix.Shutdown(ours, unix.SHUT_WR))
			}
			continue
		}
		if got := readBytes(file, len(text)); got != text && (!last || c.fails == "") {
			t.Errorf("pieces of %d, step %d: the server said\n%q, not\n%q", piece, i, got, text)
		}
		select {
		case a.hurry <- struct{}{}:
		default:
		}
	}
	rest := readToEnd(file)
	switch err := <-ended; {
	case c.fails != "":
		if err == nil || !strings.Contains(err.Error(), c.fails) {
			t.Errorf("pieces of %d: the server returned %v, want %q", piece, err, c.fails)
		}
	case err != nil || rest != "":
		t.Errorf("pieces of %d: the server returned %v, and said %q at last", piece, err, rest)
	}
}

// readBytes reads n bytes, or what there is.
func readBytes(r io.Reader, n int) string {
	b := make([]byte, n)
	n, _ = io.ReadFull(r, b)
	return string(b[:n])
}

// The parent is asked to go on even if what waited were no calls.
func TestSyncServerHoldsCallsBackAndLetsThemGo(t *testing.T) {
	newFixture(t)
	cancels := strings.Repeat(frame(cancelKind|2, ""), 1<<17) // 1 MiB
	talk(t, helloTaking("1"), syncTalk{steps: []string{
		ask1 + frame(2, "\x01b") + cancels, asked1 + frame(holdKind|1, ""),
		yes1, frame(1, "\x03ask\x03one\x03yes") + errorReply(2, rpc.ErrCanceled, rpc.KindCanceled) + frame(holdKind, ""),
	}}, 1<<20)
}

// Replies that wait for others do not wait for the handler that has no room for a call: the
// parent may need them first.
func TestSyncServerWaitsForRoomWithNothingHeldBack(t *testing.T) {
	newFixture(t)
	var cheap strings.Builder // so that replies are held back
	for id := range uint32(1000) {
		cheap.WriteString(frame(10+id, "\x01b"))
	}
	talk(t, helloTaking("1"), syncTalk{steps: []string{
		ask1, asked1, cancel1, cancel1 + errorReply(1, rpc.ErrCanceled, rpc.KindCanceled),
		cheap.String(), cheap.String(), frame(2, "\x01b") + frame(3, "\x03ask\x03two"), frame(2, "\x01b"),
		yes1, frame(upcallKind|2, "\x03two"), frame(upcallKind|2, ""), frame(3, "\x03ask\x03two"),
	}}, 1<<20)
}

// A parent that has been misunderstood once is not asked again.
func TestSyncServerDoesNotCallAParentThatViolatesTheProtocol(t *testing.T) {
	newFixture(t)
	ours, theirs := socketpair(t)
	file := fileOf(ours)
	defer file.Close()
	var errs []error
	ended := make(chan error)
	go func() {
		s, err := rpc.NewServer(sameFD(theirs), rpc.ServerConfig{})
		if err == nil {
			err = s.ServeSync(func(ctx context.Context, _ rpc.Payload) (rpc.Payload, error) {
				for range 2 {
					_, err := rpc.CallParent(ctx, "one")
					errs = append(errs, err)
				}
				return nil, nil
			})
		}
		unix.Close(theirs)
		ended <- err
	}()
	_, err := file.WriteString(helloTaking("2") + frame(1, ""))
	must(t, err)
	if got, want := readBytes(file, len(ourHello+asked1)), ourHello+asked1; got != want {
		t.Fatalf("the server says %q", got)
	}
	_, err = file.WriteString(frame(upcallKind|7, "")) // and no end of the input
	must(t, err)
	if rest := readToEnd(file); rest != frame(1, "") {
		t.Errorf("the server says %q", rest)
	}
	err = <-ended
	for _, err := range append(errs, err) {
		var violation *rpc.ProtocolError
		if !errors.As(err, &violation) {
			t.Errorf("an error is %v", err)
		}
	}
}

// A handler's request stays as it is, and nothing is lost, while any number of bytes
// come behind it.
func TestRequestOutlivesWhatIsReadInsideItsHandler(t *testing.T) {
	newFixture(t)
	var c syncTalk
	id := uint32(0)
	request := func(values ...string) string {
		id++
		return frame(id, string(rpc.Strings(values...)))
	}
	before := "" // what is said before the next question
	for i := range uint32(20) {
		var echoes strings.Builder
		question := request("ask", fmt.Sprint("number ", i))
		for range 20 * i { // soon more than the buffers hold
			echoes.WriteString(request(strings.Repeat("x", 1000)))
		}
		hears := question + echoes.String()
		if i > 0 {
			hears += frame(upcallKind|i, "\x03yes")
		}
		c.steps = append(c.steps, hears, before+frame(upcallKind|(i+1), string(rpc.Strings(fmt.Sprint("number ", i)))))
		before = frame(id-20*i, question[8:]+"\x03yes") + echoes.String()
	}
	c.steps = append(c.steps, frame(upcallKind|20, "\x03yes"), before)
	talk(t, helloTaking("1"), c, 1<<20)
}
