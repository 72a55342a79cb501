package rpc_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/evfork/evfork/rpc"
)

// vectors is testdata/vectors.json.
type vectors struct {
	Conversations []vectorTalk
}

type vectorTalk struct {
	Name, Wire string
	In, Out    []vectorFrame
}

// vectorFrame is a frame, or how one begins.
type vectorFrame struct {
	Frame, Begins, Payload, Means string
}

func readVectors(t *testing.T) vectors {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	must(t, err)
	var v vectors
	must(t, json.Unmarshal(data, &v))
	if len(v.Conversations) == 0 {
		t.Fatal("there is no vectorTalk in the file")
	}
	return v
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	must(t, err)
	return b
}

// vectorWorker is a program that follows the vectors of some wires.
type vectorWorker struct {
	name  string
	wires string
	argv  []string
}

func vectorWorkers(t *testing.T) []vectorWorker {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	all := []vectorWorker{
		{"perl", "anyevent-sync anyevent-async", []string{"perl", "../examples/perl/worker.pl"}},
		{"python", "evfork", []string{"python3", "../examples/python/worker.py"}},
		{"node", "evfork", []string{"node", "../examples/node/worker.js"}},
	}
	for _, server := range []string{"sync", "async", "goroutines"} {
		all = append(all, vectorWorker{"go, " + server, "evfork anyevent-sync anyevent-async", []string{self}})
	}
	return all
}

func TestWorkersFollowTheVectors(t *testing.T) {
	v := readVectors(t)
	for _, w := range vectorWorkers(t) {
		t.Run(w.name, func(t *testing.T) {
			newFixture(t) // skips without a poller
			if _, err := exec.LookPath(w.argv[0]); err != nil {
				t.Skipf("there is no %s here", w.argv[0])
			}
			followed := 0
			for _, c := range v.Conversations {
				if strings.Contains(w.wires, c.Wire) {
					followed++
					t.Run(c.Wire+"/"+c.Name, func(t *testing.T) { c.check(t, w) })
				}
			}
			if followed == 0 {
				t.Error("no vectorTalk is on a wire of this worker")
			}
		})
	}
}

// check runs the worker, gives it what it should read, and compares.
func (c *vectorTalk) check(t *testing.T, w vectorWorker) {
	var in []byte
	for _, f := range c.In {
		in = append(in, unhex(t, f.Frame)...)
	}
	out, stderr, err := w.run(t, c.Wire, in)
	if err != nil {
		t.Fatalf("the worker ended with %v: %s", err, stderr)
	}
	for _, want := range c.Out {
		if out = want.follow(t, out); t.Failed() {
			return
		}
	}
	if len(out) > 0 {
		t.Errorf("and then comes %x", out)
	}
}

// run gives the worker its input on a wire, and returns its output.
func (w *vectorWorker) run(t *testing.T, name string, in []byte) (out []byte, stderr string, err error) {
	t.Helper()
	cmd := w.command(t, name)
	var text strings.Builder
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &text
	out, err = cmd.Output()
	return out, text.String(), err
}

// command is the worker on a wire.
func (w *vectorWorker) command(t *testing.T, name string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), w.argv[0], w.argv[1:]...)
	switch language, server, _ := strings.Cut(w.name, ", "); language {
	case "go":
		cmd.Env = append(os.Environ(), serveStdioEnv+"=1")
		for _, wire := range []rpc.Wire{rpc.Evfork, rpc.AnyEventAsync, rpc.AnyEventSync} {
			if wire.String() == name {
				p := peer{transport: "stdio", server: server, wire: wire, limit: 1}
				cmd.Args = append(w.argv[:1:1], p.args()...)
			}
		}
	case "perl":
		cmd.Args = append(cmd.Args, strings.TrimPrefix(name, "anyevent-"))
	}
	return cmd
}

// A worker whose answers nobody reads says so by its exit. That in Perl went on with its calls if it was started with SIGPIPE ignored.
func TestWorkersEndWhenNobodyReads(t *testing.T) {
	for _, w := range vectorWorkers(t) {
		t.Run(w.name, func(t *testing.T) {
			newFixture(t) // skips without a poller
			if _, err := exec.LookPath(w.argv[0]); err != nil {
				t.Skipf("there is no %s here", w.argv[0])
			}
			r, out, err := os.Pipe()
			must(t, err)
			must(t, r.Close())
			defer out.Close()
			wire, _, _ := strings.Cut(w.wires, " ")
			in := frame(1, string(rpc.Strings("echo", "value")))
			if wire == rpc.AnyEventSync.String() {
				in = in[4:]
			} else {
				in = hello + in
			}
			cmd := w.command(t, wire)
			cmd.Args = append([]string{"sh", "-c", `trap "" PIPE; exec "$0" "$@"`}, cmd.Args...)
			cmd.Path, err = exec.LookPath("sh")
			must(t, err)
			cmd.Stdin, cmd.Stdout = strings.NewReader(in), out
			var exit *exec.ExitError
			if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() <= 0 {
				t.Errorf("the worker ended with %v", err)
			}
		})
	}
}

// A worker whose input ends in the middle of a frame says so by its exit. The one of the example node took it for an end,
// and the one of perl did between the header and its payload.
func TestWorkersDoNotTakeACutFrameForTheEnd(t *testing.T) {
	for _, w := range vectorWorkers(t) {
		t.Run(w.name, func(t *testing.T) {
			newFixture(t) // skips without a poller
			if _, err := exec.LookPath(w.argv[0]); err != nil {
				t.Skipf("there is no %s here", w.argv[0])
			}
			wire, _, _ := strings.Cut(w.wires, " ")
			call, header := frame(1, string(rpc.Strings("echo", "value"))), 8
			if wire == rpc.AnyEventSync.String() {
				call, header = call[4:], 4
			}
			for _, cut := range []int{3, header, len(call) - 1} {
				_, stderr, err := w.run(t, wire, []byte(call[:cut]))
				var exit *exec.ExitError
				if !errors.As(err, &exit) || exit.ExitCode() <= 0 {
					t.Errorf("after %d bytes of a frame of %d the worker ended with %v: %s", cut, len(call), err, stderr)
				}
			}
		})
	}
}

// What is in a frame for an extension is nobody's business. The examples read it as a list: that in JavaScript went backwards in it and
// never came to its end, and that in Python made a number of a megabyte's digits one by one.
func TestWorkersDoNotReadExtensions(t *testing.T) {
	eachEvforkWorker(t, func(t *testing.T, w vectorWorker) {
		in := frame(15<<28, string(rpc.Strings("evfork", "1"))) +
			frame(14<<28, "\x8f\xff\xff\xff\x7b") + frame(14<<28, strings.Repeat("\xff", 1<<20)) +
			frame(1, string(rpc.Strings("echo", "here")))
		out, stderr, err := w.run(t, "evfork", []byte(in))
		if want := frame(1, string(rpc.Strings("here"))); err != nil || !strings.HasSuffix(string(out), want) {
			t.Errorf("the worker ended with %v, and said %x: %s", err, out, stderr)
		}
	})
}

// eachEvforkWorker runs a test with each worker on the wire Evfork.
func eachEvforkWorker(t *testing.T, test func(t *testing.T, w vectorWorker)) {
	for _, w := range vectorWorkers(t) {
		if !strings.Contains(w.wires, "evfork") {
			continue
		}
		t.Run(w.name, func(t *testing.T) {
			newFixture(t) // skips without a poller
			if _, err := exec.LookPath(w.argv[0]); err != nil {
				t.Skipf("there is no %s here", w.argv[0])
			}
			test(t, w)
		})
	}
}

// A function that a worker does not have is an error. That in JavaScript answered a call of "constructor", which every object of its
// language has, with the arguments.
func TestWorkersRefuseWhatOnlyTheirLanguageNames(t *testing.T) {
	eachEvforkWorker(t, func(t *testing.T, w vectorWorker) {
		in := frame(15<<28, string(rpc.Strings("evfork", "1"))) + frame(7, string(rpc.Strings("constructor", "value")))
		out, stderr, err := w.run(t, "evfork", []byte(in))
		frames, _, badOutput := rpc.Decode(1<<20, out)
		if err = errors.Join(err, badOutput); err != nil || len(frames) != 2 || frames[1].Word != 1<<28|7 {
			t.Errorf("the worker ended with %v, and said %x: %s", err, out, stderr)
		}
	})
}

// A list that is cut is an error, and the worker goes on. Those in JavaScript and Python took what there was for the value, and went
// on counting where the number had no end.
func TestWorkersRefuseAListThatIsCut(t *testing.T) {
	eachEvforkWorker(t, func(t *testing.T, w vectorWorker) {
		in := frame(15<<28, string(rpc.Strings("evfork", "1")))
		want := ""
		for i, list := range []string{"\x04echo\x05valu", "\x04echo\x82", "\x04echo\x80", "\x04echo" + strings.Repeat("\xff", 4<<20)} {
			in += frame(uint32(i+1), list)
			want += fmt.Sprintf("error to %d ", i+1)
		}
		in += frame(9, string(rpc.Strings("echo", "here")))
		out, stderr, err := w.run(t, "evfork", []byte(in))
		frames, pending, badOutput := rpc.Decode(1<<20, out)
		got := ""
		for _, f := range frames[min(1, len(frames)):] {
			if f.Word>>28 == 1 {
				got += fmt.Sprintf("error to %d ", f.Word&0xffff)
			} else {
				got += fmt.Sprintf("%q to %d", f.Payload, f.Word)
			}
		}
		if want += `"\x04here" to 9`; got != want || err != nil || pending > 0 || badOutput != nil {
			t.Errorf("the worker said %s, not %s, and ended with %v: %s", got, want, err, stderr)
		}
	})
}

// The worker in JavaScript could not take many values, and copied a long frame once for each piece of it: sixty megabytes took a minute.
func TestWorkersTakeLongFrames(t *testing.T) {
	eachEvforkWorker(t, func(t *testing.T, w vectorWorker) {
		long, many := rpc.Strings("echo", strings.Repeat("x", 8<<20)), rpc.Strings(append([]string{"echo"}, make([]string, 200_000)...)...)
		in := frame(15<<28, string(rpc.Strings("evfork", "1"))) + frame(1, string(long)) + frame(2, string(many))
		out, stderr, err := w.run(t, "evfork", []byte(in))
		want := frame(1, string(long[5:])) + frame(2, string(many[5:]))
		if err != nil || !strings.HasSuffix(string(out), want) {
			t.Errorf("the worker ended with %v, and said %d bytes instead of a hello and %d: %s", err, len(out), len(want), stderr)
		}
	})
}

// follow compares the first frame of out, and returns what is behind it.
func (f *vectorFrame) follow(t *testing.T, out []byte) (rest []byte) {
	if len(out) < 8 || uint64(len(out)-8) < uint64(binary.BigEndian.Uint32(out[4:])) {
		t.Errorf("%s: there is no frame, but %x", f.Means, out)
		return nil
	}
	end := 8 + int(binary.BigEndian.Uint32(out[4:]))
	got, rest := out[:end], out[end:]
	if f.Begins == "" {
		if want := unhex(t, f.Frame); !bytes.Equal(got, want) {
			t.Errorf("%s:\nis  %x\nnot %x", f.Means, got, want)
		}
		return rest
	}
	if !bytes.HasPrefix(got, unhex(t, f.Begins)) || !bytes.HasPrefix(got[8:], unhex(t, f.Payload)) {
		t.Errorf("%s: is %x", f.Means, got)
	}
	return rest
}

// What a worker had answered before its parent violated the protocol was lost if the pipe had not taken it: that in JavaScript ended at
// once. No worker here has streamed calls, which come with frames of the kinds 4 and 2.
func TestWorkersAnswerWhatCameBeforeAViolation(t *testing.T) {
	const calls = 100
	value := strings.Repeat("x", 10_000) // more than a pipe holds, all together
	for _, w := range vectorWorkers(t) {
		if strings.HasPrefix(w.name, "go, ") {
			continue
		}
		t.Run(w.name, func(t *testing.T) {
			newFixture(t) // skips without a poller
			if _, err := exec.LookPath(w.argv[0]); err != nil {
				t.Skipf("there is no %s here", w.argv[0])
			}
			wire, _, _ := strings.Cut(w.wires, " ")
			in, hello, skip := "", hello, 0
			if wire == rpc.AnyEventSync.String() {
				hello, skip = "", 4
			}
			for id := range uint32(calls) {
				in += frame(id+1, string(rpc.Strings("echo", value)))[skip:]
			}
			for says, violation := range map[string]string{"truncated frame": frame(1, "cut")[skip:10], "kind 4": metaCall(1, "", "x"), "kind 2": frame(partKind|1, "x")} {
				if wire == rpc.AnyEventSync.String() && says != "truncated frame" {
					continue
				}
				out, stderr, err := w.run(t, wire, []byte(hello+in+violation))
				var exit *exec.ExitError
				if !errors.As(err, &exit) || exit.ExitCode() <= 0 || !strings.Contains(stderr, says) {
					t.Errorf("the worker ended with %v: %s", err, stderr)
				}
				if n := strings.Count(string(out), value); n != calls {
					t.Errorf("%s: %d of %d calls were answered", says, n, calls)
				}
			}
		})
	}
}
