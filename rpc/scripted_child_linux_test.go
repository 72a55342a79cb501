package rpc_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/rpc"
)

// scriptedChild is the other side of a client's two pipes, on the test's own goroutine: it reads and writes when the test says so, and
// knows by docs/protocol.md alone what it may be sent.
type scriptedChild struct {
	wire     rpc.Wire
	features string // of its hello
	illegal  func(format string, args ...any)
	reply    func(request string) string

	in, out int // -1: closed
	skip    int // what was in the pipe before the client
	read    int // bytes of the client
	rest    []byte
	met     bool // the client's hello has come
	greeted bool
	spoke   int // how much the client had written when the child said hello; more is not known to follow it
	ended   bool
	calls   []*scriptedCall
}

// scriptedCall is a call that the child has read.
type scriptedCall struct {
	id        uint32
	payload   string
	deadline  bool
	answered  bool
	cancelled bool
}

// newScriptedChild returns the client's descriptors, too. If the pipe is stuffed nothing goes through it before the child reads.
func newScriptedChild(t testing.TB, stuffed bool) (child *scriptedChild, clientRead, clientWrite int) {
	t.Helper()
	var toChild, toParent [2]int
	must(t, unix.Pipe2(toChild[:], unix.O_NONBLOCK|unix.O_CLOEXEC))
	must(t, unix.Pipe2(toParent[:], unix.O_NONBLOCK|unix.O_CLOEXEC))
	child = &scriptedChild{in: toChild[0], out: toParent[1]}
	if stuffed {
		for err := error(nil); err == nil; {
			var n int
			n, err = unix.Write(toChild[1], make([]byte, 1<<16))
			child.skip += max(n, 0)
		}
	}
	return child, toParent[0], toChild[1]
}

// die closes both pipes.
func (s *scriptedChild) die() {
	s.closeOutput()
	s.closeInput()
}

func (s *scriptedChild) closeOutput() { closeOnce(&s.out) }
func (s *scriptedChild) closeInput()  { closeOnce(&s.in) }

func closeOnce(fd *int) {
	if *fd >= 0 {
		unix.Close(*fd)
		*fd = -1
	}
}

// alive reports whether it can be talked to.
func (s *scriptedChild) alive() bool { return s.in >= 0 && s.out >= 0 }

// say writes, if the client still listens.
func (s *scriptedChild) say(text string) {
	if s.out >= 0 {
		_, _ = unix.Write(s.out, []byte(text)) // an error: nobody does
	}
}

func (s *scriptedChild) hello() {
	if s.greeted || s.wire != rpc.Evfork || !s.alive() {
		return
	}
	s.greeted = true
	s.spoke = s.read + s.unread()
	s.say(frame(helloWord, string(rpc.Strings("evfork", "1", "features", s.features))))
}

// unread is what the client has written and the child has not read.
func (s *scriptedChild) unread() int {
	n, _ := unix.IoctlGetUint32(s.in, unix.TIOCINQ)
	return int(n) - s.skip
}

// readAll reads what there is.
func (s *scriptedChild) readAll() {
	buf := make([]byte, 1<<16)
	for s.in >= 0 && !s.ended {
		n, _ := unix.Read(s.in, buf)
		if s.ended = n == 0; n <= 0 {
			break
		}
		data := buf[min(n, s.skip):n]
		s.skip -= n - len(data)
		s.rest = append(s.rest, data...)
		s.read += len(data)
	}
	for s.frame() {
	}
	if s.ended && len(s.rest) > 0 {
		s.illegal("the input ends with %q", s.rest)
	}
}

// frame takes one frame, if there is one.
func (s *scriptedChild) frame() bool {
	header, word := 8, uint32(0)
	if s.wire == rpc.AnyEventSync {
		header = 4
	}
	if len(s.rest) < header {
		return false
	}
	size := int(binary.BigEndian.Uint32(s.rest[header-4:]))
	if len(s.rest) < header+size {
		return false
	}
	if header == 8 {
		word = binary.BigEndian.Uint32(s.rest)
	}
	at := s.read - len(s.rest)
	payload := string(s.rest[header : header+size])
	s.rest = s.rest[header+size:]
	s.take(word, payload, at)
	return true
}

// take acts on a frame that began at a byte.
func (s *scriptedChild) take(word uint32, payload string, at int) {
	kind, id := word>>28, word<<4>>4
	switch {
	case s.wire != rpc.Evfork:
		s.called(&scriptedCall{id: word, payload: payload})
	case !s.met:
		if s.met = true; kind != 15 {
			s.illegal("the first frame is of kind %d", kind)
		}
	case kind == 0:
		s.called(&scriptedCall{id: id, payload: payload})
	case !s.greeted || at < s.spoke:
		s.illegal("a frame of kind %d comes before the client knows of the hello", kind)
	case kind == 4 && strings.Contains(s.features, "metadata"):
		rest, ok := strings.CutPrefix(payload, "\x1a\x08deadline\x10")
		if !ok || len(rest) < 16 {
			s.illegal("the metadata are %q", payload)
			return
		}
		s.called(&scriptedCall{id: id, payload: rest[16:], deadline: true})
	case kind == 3 && strings.Contains(s.features, "cancel") && payload == "":
		s.cancelled(id)
	default:
		s.illegal("a frame of kind %d with id %d: %q", kind, id, payload)
	}
}

func (s *scriptedChild) called(call *scriptedCall) {
	if c := s.open(call.id); c != nil && s.wire != rpc.AnyEventSync || call.id == 0 && s.wire != rpc.AnyEventSync {
		s.illegal("a call comes with the id %d, which is in use", call.id)
	}
	s.calls = append(s.calls, call)
}

// open is the call with an id that has no answer.
func (s *scriptedChild) open(id uint32) *scriptedCall {
	for _, c := range s.calls {
		if c.id == id && !c.answered {
			return c
		}
	}
	return nil
}

func (s *scriptedChild) cancelled(id uint32) {
	for i := len(s.calls) - 1; i >= 0; i-- {
		if c := s.calls[i]; c.id == id {
			if c.cancelled {
				s.illegal("call %d is cancelled twice", id)
			}
			c.cancelled = true
			return
		}
	}
	s.illegal("call %d is cancelled, which has not come", id)
}

// answer answers the first of its open calls, or the last; with an error, if it fails.
func (s *scriptedChild) answer(last, fails bool) *scriptedCall {
	s.readAll()
	if !s.alive() || s.wire == rpc.Evfork && !s.greeted {
		return nil
	}
	var call *scriptedCall
	for _, c := range s.calls {
		if !c.answered && (call == nil || last) {
			call = c
		}
	}
	if call == nil {
		return nil
	}
	call.answered = true
	switch {
	case s.wire == rpc.AnyEventSync:
		s.say(frame(1, s.reply(call.payload)))
	case fails && s.wire == rpc.Evfork:
		s.say(frame(errorKind|call.id, string(rpc.Strings(call.payload, "error", ""))))
	default:
		s.say(frame(call.id, s.reply(call.payload)))
	}
	return call
}

// find is the call of which a request is, or of whose it is a part.
func (s *scriptedChild) find(request string) *scriptedCall {
	for _, c := range s.calls {
		if strings.Contains(c.payload, request) {
			return c
		}
	}
	return nil
}
