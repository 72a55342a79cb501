package rpc_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/rpc"
)

// misbehaviour is what a child does instead of answering, and what the calls it
// has been given are told.
type misbehaviour struct {
	name     string
	script   []string
	wire     rpc.Wire
	child    child.Config
	says     []string // in the error's text
	is       error    // errors.Is
	violates bool     // the cause is a *rpc.ProtocolError
	signal   syscall.Signal
	code     int
}

var atOnce = child.Ladder{CloseWait: -1, TermWait: -1}

var misbehaviours = []misbehaviour{
	{
		name:     "frame longer than the limit",
		script:   []string{write(hello), readFrame, write("\x00\x00\x00\x01\xff\xff\xff\xfe"), wait},
		says:     []string{"frame of 4294967294 bytes, more than the limit of 1024", "protocol violation"},
		violates: true,
		signal:   syscall.SIGKILL,
	}, {
		name:   "truncated frame and exit",
		script: []string{write(hello), readFrame, readFrame, write(frame(1, "0123456789")[:13]), exit(0)},
		says:   []string{"in the middle of a frame, after 13 bytes", "exited with code 0"},
	}, {
		name:   "truncated header and exit",
		script: []string{write(hello), readFrame, readFrame, write("\x00\x00\x00"), exit(7)},
		says:   []string{"in the middle of a frame, after 3 bytes", "exited with code 7"},
		code:   7,
	}, {
		name:     "unknown id",
		script:   []string{write(hello), readFrame, readFrame, write(frame(4711, "")), wait},
		says:     []string{"reply to call 4711, which is not in flight"},
		violates: true,
		signal:   syscall.SIGKILL,
	}, {
		name:     "unknown id on AnyEvent's wire",
		wire:     rpc.AnyEventAsync,
		script:   []string{readFrame, write(frame(0xfffffff0, "")), wait},
		says:     []string{"reply to call 4294967280, which is not in flight"},
		violates: true,
		signal:   syscall.SIGKILL,
	}, {
		name:     "unknown word on AnyEvent's sync wire",
		wire:     rpc.AnyEventSync,
		script:   []string{"read:16", write(frame(2, "")), wait},
		says:     []string{"reply to call 2, which is not in flight"},
		violates: true,
		signal:   syscall.SIGKILL,
	}, {
		name:     "text on AnyEvent's sync wire",
		wire:     rpc.AnyEventSync,
		script:   []string{"read:16", write("Can't locate Foo.pm in @INC\n"), wait},
		says:     []string{`the other side wrote text to its protocol stream: "Can't locate Foo.pm in @INC\n"`},
		violates: true,
		signal:   syscall.SIGKILL,
	}, {
		name:   "truncated frame and exit on AnyEvent's sync wire",
		wire:   rpc.AnyEventSync,
		script: []string{"read:16", write(frame(1, "0123456789")[:13]), exit(0)},
		says:   []string{"in the middle of a frame, after 13 bytes", "exited with code 0"},
	}, {
		name:     "frame of unknown kind",
		script:   []string{write(hello), readFrame, readFrame, write(frame(0xd0000001, "")), wait},
		says:     []string{"frame of unknown kind 13"},
		violates: true,
		signal:   syscall.SIGKILL,
	}, {
		name:   "exit without an answer",
		script: []string{write(hello), readFrame, readFrame, stderr("I give up\n"), exit(3)},
		says:   []string{"exited with code 3", "stderr: I give up"},
		code:   3,
	}, {
		name:     "garbage for a hello",
		script:   []string{write("\x9c\x01\x80\xff\x00\x00\x00\x02ab"), wait},
		says:     []string{"the first frame is not a hello"},
		violates: true,
		signal:   syscall.SIGKILL,
	}, {
		name:     "text for a hello",
		script:   []string{write("Starting up, please wait\n"), wait},
		says:     []string{`the other side wrote text to its protocol stream: "Starting up, please wait\n"`},
		violates: true,
		signal:   syscall.SIGKILL,
	}, {
		name:     "text among the replies",
		script:   []string{write(hello), readFrame, readFrame, write("debug: got a call\n"), wait},
		says:     []string{`the other side wrote text to its protocol stream: "debug: got a call\n"`},
		violates: true,
		signal:   syscall.SIGKILL,
	}, {
		name:     "text on AnyEvent's wire",
		wire:     rpc.AnyEventAsync,
		script:   []string{readFrame, write("Can't locate Foo.pm in @INC\n"), wait},
		says:     []string{`the other side wrote text to its protocol stream: "Can't locate Foo.pm in @INC\n"`},
		violates: true,
		signal:   syscall.SIGKILL,
	}, {
		name:   "no hello",
		script: []string{readMore, wait},
		child:  child.Config{StartTimeout: 20 * time.Millisecond},
		says:   []string{"no handshake within the start timeout"},
		is:     child.ErrStartTimeout,
		signal: syscall.SIGKILL,
	}, {
		name:     "hello of another version",
		script:   []string{write(frame(helloWord, "\x06evfork\x0299")), wait},
		says:     []string{`the other side speaks version "99" of the protocol, this side 1`},
		violates: true,
		signal:   syscall.SIGKILL,
	}, {
		name:     "malformed hello",
		script:   []string{write(frame(helloWord, "\x7fevfork")), wait},
		says:     []string{"the hello is malformed"},
		violates: true,
		signal:   syscall.SIGKILL,
	}, {
		name:     "second hello",
		script:   []string{write(hello + hello), wait},
		says:     []string{"a second hello, a frame of kind 15"},
		violates: true,
		signal:   syscall.SIGKILL,
	}, {
		name:   "only the input closed",
		script: []string{write(hello), readFrame, readFrame, closeIn, wait},
		child:  child.Config{Ladder: atOnce},
		says:   []string{"closed its protocol pipe and went on running"},
		is:     child.ErrClosedPipe,
		signal: syscall.SIGKILL,
	}, {
		name:   "only the output closed",
		script: []string{write(hello), closeOut, readMore, wait},
		child:  child.Config{Ladder: atOnce},
		says:   []string{"closed its protocol pipe and went on running"},
		is:     child.ErrClosedPipe,
		signal: syscall.SIGKILL,
	}, {
		name:     "event nobody asked for",
		script:   []string{write(hello), readFrame, readFrame, write(frame(0, "\x02hi")), wait},
		says:     []string{"an event came, and Config.OnEvent is not set"},
		violates: true,
		signal:   syscall.SIGKILL,
	},
}

// A child that misbehaves loses its own calls, with an error that says what
// happened, and nobody else's.
func TestMisbehavingChildLosesOnlyItsOwnCalls(t *testing.T) {
	for _, m := range misbehaviours {
		t.Run(m.name, func(t *testing.T) {
			f := newFixture(t)
			other := f.connect(pipes("sync"), rpc.Config{})
			f.works(other)
			proc := f.raw(m.child, m.script...)
			failed, destroyed := 0, 0
			c := f.client(proc, peer{wire: m.wire}, rpc.Config{
				MaxFrame:  1024,
				OnError:   func(error) { failed++ },
				OnDestroy: func() { destroyed++ },
			})
			calls := []*result{f.begin(c, "one"), f.begin(c, "two")}
			f.until(calls[0].ended)
			if failed != 1 || destroyed != 0 {
				t.Errorf("OnError was called %d times, OnDestroy %d times", failed, destroyed)
			}
			for _, r := range calls {
				m.check(t, proc, r)
			}
			if err := c.Go(func(rpc.Payload, error) { t.Error("called back") }, "three"); err == nil {
				t.Error("a call was accepted after the end")
			}
			f.works(other)
		})
	}
}

// check looks at how a call of the child ended.
func (m *misbehaviour) check(t *testing.T, proc *child.Process, r *result) {
	t.Helper()
	var lost *rpc.LostError
	var exit *child.ExitError
	switch {
	case r.ends != 1:
		t.Fatalf("a call ended %d times", r.ends)
	case !errors.As(r.err, &lost) || !errors.As(r.err, &exit):
		t.Fatalf("the call ended with %v, which is no LostError with an ExitError", r.err)
	case m.is != nil && !errors.Is(r.err, m.is):
		t.Errorf("%v is not %v", r.err, m.is)
	case exit.State.Signal != m.signal || m.signal == 0 && exit.State.Code != m.code:
		t.Errorf("the child %v, want signal %d or code %d", exit.State, m.signal, m.code)
	}
	var violation *rpc.ProtocolError
	if errors.As(r.err, &violation) != m.violates {
		t.Errorf("is a ProtocolError: %v, want %v: %v", !m.violates, m.violates, r.err)
	}
	says := append([]string{"rpc: call lost", fmt.Sprintf("pid %d", proc.PID()), `"raw"`}, m.says...)
	for _, text := range says {
		if !strings.Contains(r.err.Error(), text) {
			t.Errorf("the error does not say %q: %v", text, r.err)
		}
	}
	if m.signal != 0 && exit.State.Asked != child.AskedByAbort {
		t.Errorf("the end was asked for by %d, want AskedByAbort", exit.State.Asked)
	}
}

// The first reply is the call's; the second is to nobody.
func TestSecondReplyPutsTheChildDown(t *testing.T) {
	f := newFixture(t)
	other := f.connect(pipes("async"), rpc.Config{})
	proc := f.raw(child.Config{}, write(hello), readFrame, readFrame, write(frame(1, "\x01a")+frame(1, "\x01b")), wait)
	c := f.client(proc, peer{}, rpc.Config{})
	first, second := f.begin(c, "one"), f.begin(c, "two")
	f.until(second.ended)
	if first.ends != 1 || first.err != nil || first.reply[0] != "a" {
		t.Errorf("the first call ended %d times: %q, %v", first.ends, first.reply, first.err)
	}
	if !strings.Contains(second.err.Error(), "reply to call 1, which is not in flight") {
		t.Errorf("the second call ended with %v", second.err)
	}
	f.works(other)
}

// A child that never reads fills its pipe and then our buffer, no more.
func TestChildThatNeverReadsCostsABoundedBuffer(t *testing.T) {
	f := newFixture(t)
	other := f.connect(pipes("sync"), rpc.Config{})
	proc := f.raw(child.Config{PipeSize: 4096}, write(hello), wait)
	const limit = 100_000
	c := f.client(proc, peer{}, rpc.Config{MaxBuffered: limit})
	var calls []*result
	payload := strings.Repeat("x", 1000)
	full := func() bool {
		r := &result{}
		err := c.GoTo(r, payload)
		if err == nil {
			calls = append(calls, r)
		}
		if err != nil && err != rpc.ErrFull {
			t.Fatal(err)
		}
		return err != nil && f.Stats().Buffered > limit-2000
	}
	f.Every(0, time.Millisecond, func() {}) // so that the loop goes round
	f.until(full)
	if buffered := f.Stats().Buffered; buffered > limit {
		t.Errorf("%d bytes are buffered", buffered)
	}
	if len(calls) > (limit+2*4096)/1000 {
		t.Errorf("%d calls were accepted", len(calls))
	}
	f.works(other)
	must(t, proc.Kill())
	f.until(calls[0].ended)
	for i, r := range calls {
		var lost *rpc.LostError
		if r.ends != 1 || !errors.As(r.err, &lost) || lost.Started {
			t.Fatalf("call %d ended %d times, with %v", i, r.ends, r.err)
		}
	}
	f.works(other)
}

// serveRaw runs a server of this process on input and returns what it wrote, and
// its error.
func serveRaw(t *testing.T, p peer, input string) (string, error) {
	t.Helper()
	ours, theirs := socketpair(t)
	in, out := fileOf(ours), make(chan string)
	defer in.Close()
	go func() { out <- readToEnd(in) }()
	_, err := in.WriteString(input)
	must(t, err)
	must(t, syscall.Shutdown(ours, syscall.SHUT_WR))
	err = p.serve(sameFD(theirs))
	if p.server != "async" {
		syscall.Close(theirs)
	}
	return <-out, err
}

// A server that is given nonsense returns an error that says what it was.
func TestServersRefuseBadInput(t *testing.T) {
	inputs := []struct {
		name, bytes, says string
		wire              rpc.Wire
	}{
		{"too long", hello + "\x00\x00\x00\x01\x00\x10\x00\x00", "frame of 1048576 bytes, more than the limit of 1024", rpc.Evfork},
		{"truncated", hello + frame(1, "0123456789")[:12], "in the middle of a frame, after 12 bytes", rpc.Evfork},
		{"no hello", frame(1, "\x04echo"), "the first frame is not a hello", rpc.Evfork},
		{"another version", frame(helloWord, "\x06evfork\x012"), `speaks version "2"`, rpc.Evfork},
		{"error reply", hello + frame(errorKind|1, ""), "the parent sent a frame of kind 1 with id 1", rpc.Evfork},
		{"event", hello + frame(0, ""), "the parent sent a frame of kind 0 with id 0", rpc.Evfork},
		{"short deadline", hello + metaCall(1, string(rpc.Strings("window", string(bigEndian(1)), "deadline", "soon")), ""), "the deadline of a call has 4 bytes", rpc.Evfork},
		{"half a name", hello + metaCall(1, string(rpc.Strings("window", string(bigEndian(1)), "deadline")), ""), "the metadata of a call is malformed", rpc.Evfork},
		{"sync wire, too long", "\x00\x10\x00\x00abc", "frame of 1048576 bytes, more than the limit of 1024", rpc.AnyEventSync},
		{"sync wire, truncated", syncCall("0123456789")[:9], "in the middle of a frame, after 9 bytes", rpc.AnyEventSync},
		{"sync wire, half a length", "\x00\x00", "in the middle of a frame, after 2 bytes", rpc.AnyEventSync},
	}
	for _, server := range []string{"sync", "async", "goroutines"} {
		for _, in := range inputs {
			t.Run(server+"/"+in.name, func(t *testing.T) {
				newFixture(t) // skips without a poller
				_, err := serveRaw(t, peer{server: server, wire: in.wire, maxFrame: 1024}, in.bytes)
				if err == nil || !strings.Contains(err.Error(), in.says) {
					t.Errorf("the server returned %v, want %q", err, in.says)
				}
			})
		}
	}
}

// Input that cannot be read has not ended.
func TestServersReturnWhyTheyCannotRead(t *testing.T) {
	for name, serve := range map[string]func(rpc.FDs) error{
		"sync":       func(fds rpc.FDs) error { return rpc.ServeSync(fds, nil) },
		"goroutines": func(fds rpc.FDs) error { return rpc.ServeGoroutines(fds, nil, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
			must(t, err)
			defer null.Close()
			if err := serve(sameFD(null.Fd())); !errors.Is(err, syscall.EBADF) {
				t.Errorf("the server returned %v", err)
			}
		})
	}
}
