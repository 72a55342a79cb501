package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/rpctest"
)

// fuzzedFrame is how long a frame may be in the fuzz targets: short enough to be
// exceeded, and to be told from the memory of the package itself.
const fuzzedFrame = 4096

// seedBytes are what both sides of a connection may be sent.
func seedBytes(f *testing.F, add func(data []byte)) {
	f.Helper()
	for _, s := range []string{
		"",
		hello,
		hello + frame(1, "\x02hi") + frame(2, ""),
		hello + frame(2, "") + frame(2, ""),                       // twice
		hello + frame(1, "") + frame(77, "") + frame(3, ""),       // unknown
		hello + frame(0, "\x05event") + frame(1, ""),              // an event, or a call with no id
		hello + frame(errorKind|1, "\x03why\x05error\x00"),        // error reply
		hello + frame(errorKind|1, "\xff\xff\xff\xff"),            // unreadable
		hello + frame(0xe0000001, "") + hello,                     // kinds
		hello + "\x00\x00\x00\x01\xff\xff\xff\xff",                // oversize
		hello + frame(1, strings.Repeat("x", 500))[:300],          // truncated
		frame(helloWord, "\x06evfork\x012"),                       // version
		frame(helloWord, "\x06evfork"),                            // malformed
		frame(1, "\x02hi") + frame(2, "") + frame(0xffffffff, ""), // AnyEvent's
		"panic: runtime error\n\ngoroutine 1 [running]:\n",
		hello + frame(1, "\x05panic\x04ouch") + frame(2, "\x04fail\x03why") + frame(3, "\x05event\x01e") + frame(4, "\x04echo"),
		hello + strings.Repeat(frame(5, "\x04echo\x01x"), 20),
		// streamed calls, and what belongs to them
		clientHello + windowCall(1, 20, true, request("parts")) + frame(partKind|1, "\x01a") + frame(partKind|1, "") + credit(1, 100) + frame(endKind|1, ""),
		clientHello + windowCall(1, 0, true, request("parts")) + frame(3, "") + frame(partKind|1, "\x01a") + frame(0x30000001, "") + frame(endKind|1, ""),
		clientHello + windowCall(1, 1<<63, false, request("echo")) + credit(1, 1<<63) + credit(2, 1) + frame(creditKind|1, ""),
		clientHello + frame(partKind|1, "") + frame(endKind|1, ""),
		ourHello + frame(partKind|4, "\x01a") + credit(4, 1000) + frame(4, "\x02hi"),
		ourHello + strings.Repeat(frame(partKind|4, strings.Repeat("x", 30)), 4) + frame(4, ""),
		ourHello + credit(4, 1<<63) + credit(4, 1<<63) + credit(1, 1) + credit(77, 1) + frame(creditKind|4, "short"),
		hello + frame(upcallKind|1, "") + frame(cancelKind|1, "") + frame(upcallKind|2, "\x01") + frame(cancelKind|2, ""), // calls of a child
		hello + strings.Repeat(frame(upcallKind|1, "\x01"), 2) + frame(holdKind|1, "") + frame(holdKind, ""),
		hello + frame(1, "\x02hi") + frame(2, "") + frame(upcallKind|1, "") + frame(cancelKind|2, "") + frame(errorKind|2, "\x03why\x05error\x00"),
	} {
		add([]byte(s))
	}
}

// FuzzClient: whatever a child says, in whatever pieces, every call ends exactly
// once, so does the client, and nothing is left.
func FuzzClient(f *testing.F) {
	seedBytes(f, func(data []byte) {
		f.Add(data, byte(0), byte(0))
		f.Add(data, byte(1), byte(1))
		f.Add(data, byte(2), byte(8))
		f.Add(data, byte(3), byte(4))
	})
	f.Fuzz(func(t *testing.T, data []byte, piece, options byte) {
		fx := newFixture(t)
		config := rpctest.Config{ToParent: rpctest.Faults{Piece: int(piece)}}
		tr := rpctest.StartWith(t, fx.Loop, config, func(fds rpc.FDs) error { return recite(fds, data) })
		var w watched
		clientConfig := w.config(rpc.Config{MaxFrame: fuzzedFrame, MaxUpcalls: 3})
		var open []rpc.Done
		if options&4 != 0 {
			clientConfig.OnCall = func(request rpc.Payload, done rpc.Done) {
				if len(request)%2 != 0 {
					open = append(open, done)
				} else if err := done.ReplyBytes(request); err != nil && !isLost(err) {
					t.Errorf("the answer: %v", err)
				}
			}
		}
		wire := rpc.Wire(options & 1)
		if options&8 != 0 {
			wire = rpc.AnyEventSync
		}
		c := fx.client(tr, peer{wire: wire}, clientConfig)
		calls := []*result{fx.begin(c, "one"), fx.begin(c, "two"), fx.begin(c)}
		if r := (&roomy{}); options&4 != 0 && wire == rpc.Evfork {
			calls = append(calls, &r.result)
			s, err := c.GoStream(r, rpc.StreamOptions{Window: 100, Input: true}, nil)
			must(t, err)
			sent := 0
			r.fn = func() {
				for ; sent < 20 && s.Send([]byte("a part of it")) == nil; sent++ {
				}
				if sent == 20 {
					s.CloseSend()
				}
			}
			r.fn()
		}
		if options&2 != 0 {
			c.Shutdown()
		}
		fx.until(w.ended)
		for i, r := range calls {
			if r.ends != 1 {
				t.Errorf("call %d ended %d times", i, r.ends)
			}
		}
		if w.destroyed+w.failed != 1 || c.InFlight() != 0 {
			t.Errorf("OnDestroy was called %d times, OnError %d times; in flight %d", w.destroyed, w.failed, c.InFlight())
		}
		if err := c.Go(nil, "late"); err == nil {
			t.Error("a call was accepted after the end")
		}
		for _, done := range open {
			if err := done.Reply(); err == nil || err == rpc.ErrDone || done.Reply() != rpc.ErrDone {
				t.Errorf("answered after the end: %v", err)
			}
		}
	})
}

// recite is a child that says one thing, whatever it hears, and exits.
func recite(fds rpc.FDs, data []byte) error {
	_, w := fds.FDs()
	for len(data) > 0 {
		n, err := syscall.Write(w, data)
		if err != nil && err != syscall.EINTR {
			return err
		}
		data = data[max(n, 0):]
	}
	return nil
}

// FuzzServer: whatever a parent says, in whatever pieces, a server returns, says
// nothing but frames, and answers each call that was made in order once, rightly.
func FuzzServer(f *testing.F) {
	seedBytes(f, func(data []byte) {
		for server := range byte(9) { // each on each wire
			f.Add(data, server, server)
		}
	})
	f.Fuzz(func(t *testing.T, data []byte, server, piece byte) {
		fx := newFixture(t)
		wire := rpc.Wire(server / 3 % 3)
		out, err := fx.hear(rpctest.Config{ToChild: rpctest.Faults{Piece: int(piece)}}, data, func(fds rpc.FDs) error {
			return serveFuzz(fds, server%3, wire)
		})
		owed, mayBeDropped, orderly, unknown := callsIn(data, wire)
		frames, pending, badOutput := rpc.Decode(1<<20, []byte(out))
		if badOutput != nil || pending > 0 {
			t.Errorf("the server said %q, which is no frames (%v, %d bytes left)", out, badOutput, pending)
		}
		if wire == rpc.Evfork {
			if len(frames) == 0 || frames[0].Word != helloWord {
				t.Fatalf("the server has not greeted: %q", out)
			}
			frames = frames[1:]
		}
		for _, frame := range frames {
			if k := frame.Word >> 28; wire == rpc.Evfork && (k == partKind>>28 || k == creditKind>>28) {
				continue // of a call that waits for parts
			}
			if mayBeDropped {
				frame = answerTo(frame.Word)
			}
			if owed[frame]--; owed[frame] < 0 {
				t.Errorf("answer %+v was given more often than asked for", frame)
			}
		}
		if unknown {
			return
		}
		if orderly != (err == nil) {
			t.Errorf("the server returned %v", err)
		}
		if orderly {
			for frame, n := range owed {
				if n != 0 {
					t.Errorf("%d answers %+v are owed", n, frame)
				}
			}
		}
	})
}

// hear starts a server, sends it bytes, and returns what it says and returns.
func (f *fixture) hear(config rpctest.Config, data []byte, serve func(rpc.FDs) error) (said string, err error) {
	f.t.Helper()
	tr := rpctest.StartWith(f.t, f.Loop, config, serve)
	var out bytes.Buffer
	ended := false
	tr.OnEnd(func(error) { ended = true })
	s, err := tr.Open(reactor.StreamConfig{OnData: func(p []byte) { out.Write(p) }})
	must(f.t, err)
	must(f.t, s.Write(data))
	s.CloseWrite()
	f.until(func() bool { return ended })
	return out.String(), tr.Wait()
}

// callsIn is the answers that the calls in data get, and whether a server returns
// nil for it. If there are cancels or deadlines among them, it may be an answer or
// an error, and only whose it is is certain. unknown means that it depends on whether
// calls have been answered at a moment.
func callsIn(data []byte, wire rpc.Wire) (owed map[rpc.Frame]int, mayBeDropped, orderly, unknown bool) {
	owed = make(map[rpc.Frame]int)
	decode := []func(uint32, ...[]byte) ([]rpc.Frame, int, error){rpc.DecodeGreeted, rpc.Decode, rpc.DecodeSyncCalls}[wire]
	frames, pending, err := decode(fuzzedFrame, data)
	if wire == rpc.Evfork && len(frames) > 0 {
		if !isHello(frames[0].Word, frames[0].Payload) {
			return owed, false, false, false
		}
		frames = frames[1:]
	}
	streamed := streamedFrames{}
	if wire == rpc.Evfork {
		// The header of a cancel is enough: the rest may be missing, or too long.
		mayBeDropped = pending > 0 || err != nil || slices.ContainsFunc(frames, func(f rpc.Frame) bool { return f.Word>>28 == 3 || f.Word>>28 == 4 })
	}
	for _, frame := range frames {
		if wire == rpc.AnyEventSync {
			frame.Word = 1 // that of every reply
		}
		kind, id := uint32(0), frame.Word
		if wire == rpc.Evfork {
			kind, id = frame.Word>>28, frame.Word&(1<<28-1)
		}
		fails := fuzzAnswer([]byte(frame.Payload)) != nil
		switch {
		case kind == 14 || kind == 3 && id != 0:
		case wire == rpc.Evfork && id != 0 && streamed.takes(kind):
			if !streamed.follows(kind, id, frame.Payload) {
				return owed, mayBeDropped, false, streamed.unknown
			}
		case wire == rpc.Evfork && id != 0 && kind == 4 && hasMetadata([]byte(frame.Payload)) && !streamed.begins(id, frame.Payload):
			return owed, mayBeDropped, false, streamed.unknown
		case id == 0 || kind != 0 && (kind != 4 || !hasMetadata([]byte(frame.Payload))):
			return owed, mayBeDropped, false, streamed.unknown
		case mayBeDropped:
			owed[answerTo(id)]++
		case !fails:
			owed[frame]++
		case wire == rpc.Evfork:
			owed[rpc.Frame{Word: errorKind | frame.Word, Payload: "\x07as told\x05error\x00"}]++
		default:
			err = errors.New("the failure ends the server") // which may be at other calls meanwhile
		}
	}
	return owed, mayBeDropped, err == nil && pending == 0, streamed.unknown
}

// answerTo stands for any answer to a call on the Evfork wire.
func answerTo(word uint32) rpc.Frame { return rpc.Frame{Word: word & (1<<28 - 1)} }

// isHello reports whether a frame is a hello that our sides accept.
func isHello(word uint32, payload string) bool {
	values, err := rpc.Payload(payload).Strings()
	if word>>28 != 15 || err != nil || len(values) < 2 || len(values)%2 != 0 || values[0] != "evfork" {
		return false
	}
	oldest, codec := values[1], ""
	for pair := range slices.Chunk(values[2:], 2) {
		switch pair[0] {
		case "oldest":
			oldest = pair[1]
		case "codec":
			codec = pair[1]
		}
	}
	version, _ := strconv.ParseUint(values[1], 10, 31)
	first, _ := strconv.ParseUint(oldest, 10, 31)
	return version >= 1 && first == 1 && (codec == "" || codec == "string")
}

// hasMetadata reports whether a payload begins with a block of metadata.
func hasMetadata(payload []byte) bool {
	block, _, err := rpc.Payload(payload).Next()
	if err != nil {
		return false
	}
	values, err := rpc.Payload(block).Strings()
	if err != nil || len(values)%2 != 0 {
		return false
	}
	for pair := range slices.Chunk(values, 2) {
		if pair[0] == "deadline" && len(pair[1]) < 16 || pair[0] == "window" && len(pair[1]) < 8 {
			return false
		}
	}
	return true
}

// fuzzAnswer is what the servers of the fuzz targets make of a request: its echo, or
// an error.
func fuzzAnswer(request []byte) error {
	if bytes.HasPrefix(request, []byte("\x04fail")) {
		return errors.New("as told")
	}
	return nil
}

func serveFuzz(fds rpc.FDs, server byte, wire rpc.Wire) error {
	s, err := rpc.NewServer(fds, rpc.ServerConfig{Wire: wire, MaxFrame: fuzzedFrame})
	if err != nil {
		return err
	}
	handler := func(ctx context.Context, request rpc.Payload) (rpc.Payload, error) {
		for part, err := range rpc.Parts(ctx) {
			if err == nil {
				err = rpc.SendPart(ctx, part)
			}
			if err != nil {
				return nil, err
			}
		}
		return request, fuzzAnswer(request)
	}
	return serveNumbered(s, server, handler, func(request rpc.Payload, done rpc.Done) {
		request = slices.Clone(request)
		done.OnCancel(func(err error) { done.Fail(err) })
		done.OnParts(func(part rpc.Payload) { done.PartBytes(part) }, func() {
			if err := fuzzAnswer(request); err != nil {
				done.Fail(err)
				return
			}
			done.ReplyBytes(request)
		})
	})
}

// serveNumbered has the server with a number serve, with a handler of its own kind.
func serveNumbered(s *rpc.Server, server byte, handler rpc.Handler, async rpc.AsyncHandler) error {
	switch server {
	case 0:
		return s.ServeSync(handler)
	case 1:
		return s.ServeGoroutines(handler, 3)
	}
	return serveOnALoop(s, async)
}

// FuzzHello: what is not a hello puts the child down, what is one lets it work,
// whatever else is in it.
func FuzzHello(f *testing.F) {
	for _, payload := range []string{helloPayload, "", "\x06evfork\x011", "\x06evfork\x012", "\x06EVFORK\x011", "\x06evfork\x011\x03new\x05thing\x04more", "\x06evfork\x0201", "\xff"} {
		f.Add(uint32(helloWord), []byte(payload))
	}
	f.Add(uint32(helloWord|1), []byte(helloPayload))
	f.Add(uint32(1), []byte(helloPayload))
	f.Fuzz(func(t *testing.T, word uint32, payload []byte) {
		fx := newFixture(t)
		tr := rpctest.Start(t, fx.Loop, func(fds rpc.FDs) error {
			return recite(fds, []byte(frame(word, string(payload))+frame(1, "ok")))
		})
		var w watched
		c := fx.client(tr, peer{}, w.config(rpc.Config{}))
		r := fx.begin(c, "one")
		fx.until(w.ended)
		good := isHello(word, string(payload))
		violation := &rpc.ProtocolError{}
		switch {
		case r.ends != 1:
			t.Errorf("the call ended %d times", r.ends)
		case good && isLost(r.err):
			t.Errorf("the hello was refused: %v", r.err)
		case !good && !errors.As(r.err, &violation):
			t.Errorf("the hello was accepted: the call ended with %v", r.err)
		}
	})
}

// FuzzErrorReply: any bytes of an error reply end their call, and only that, with a
// RemoteError.
func FuzzErrorReply(f *testing.F) {
	for _, payload := range []string{"", "\x03why\x05error\x00", "\x03why\x05panic\x05stack\x04more", "\x03why", "\xff\xff", "\x00\x00\x00"} {
		f.Add([]byte(payload))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		got := rpc.DecodeRemoteError(payload)
		values, err := rpc.Payload(payload).Strings()
		want := &rpc.RemoteError{Message: fmt.Sprintf("unreadable error reply %q", payload[:min(len(payload), 64)]), Kind: rpc.KindError}
		if err == nil && len(values) >= 3 {
			want = &rpc.RemoteError{Message: values[0], Kind: values[1], Stack: values[2]}
		}
		if *got != *want {
			t.Errorf("%q is %+v, not %+v", payload, got, want)
		}
		if got.Error() == "" {
			t.Error("no text")
		}
	})
}

// FuzzErrorReplyRoundTrip: an error that fits in a frame comes out as it went in,
// and one that does not is cut and still readable.
func FuzzErrorReplyRoundTrip(f *testing.F) {
	f.Add("why", 100)
	f.Add("", 8)
	f.Add(strings.Repeat("long ", 100), 64)
	f.Add(strings.Repeat("x", 130), 128)
	f.Fuzz(func(t *testing.T, message string, limit int) {
		limit = min(max(limit, 16), 1<<16) // below, not even the kind fits
		payload := rpc.EncodeRemoteError(errors.New(message), limit)
		if len(payload) > limit {
			t.Errorf("%d bytes, the limit is %d", len(payload), limit)
		}
		got := rpc.DecodeRemoteError(payload)
		fits := len(rpc.Strings(message, rpc.KindError, "")) <= limit
		if got.Kind != rpc.KindError || !strings.HasPrefix(message, got.Message) || fits && got.Message != message {
			t.Errorf("%q became %+v", message, got)
		}
	})
}

// FuzzDecoderMemory: a decoder holds no more than twice what it was given, whatever the
// headers claim, and nothing large once there is no frame begun.
func FuzzDecoderMemory(f *testing.F) {
	seedBytes(f, func(data []byte) { f.Add(data, byte(0)); f.Add(data, byte(3)) })
	f.Add([]byte("\x00\x00\x00\x01\x03\xff\xff\xff"+strings.Repeat("x", 1000)), byte(100))
	// The large buffer was once twice what the small one had grown to.
	f.Add([]byte(frame(1, strings.Repeat("x", 89))+"\x00\x00\x00\x02\x03\xff\xff\xff"+"x"), byte(83))
	f.Fuzz(func(t *testing.T, data []byte, piece byte) {
		var pieces [][]byte
		for p := range slices.Chunk(data, int(piece)+1) {
			pieces = append(pieces, p)
		}
		// append doubles, and rounds up to a size class.
		if kept := rpc.DecoderKeeps(64<<20, pieces...); kept > 2*len(data)+64 {
			t.Errorf("%d bytes are kept of %d received", kept, len(data))
		}
	})
}
