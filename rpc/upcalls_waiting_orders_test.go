package rpc_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/leaktest"
	"github.com/evfork/evfork/rpc"
)

// What can end calls to the parent of a handler that waits for them, under ServeSync and ServeGoroutines, in every order of so many.
// The handler makes a call for each step, and its parent, who is scripted, does to that call what the step says: so each waits for the
// other, and an order is the same every time.

const waitingSteps = "aexcdnPEKV"

// react is what the parent does when a call of the child has come.
func (o *orderedWaiting) react(id uint32, payload string) {
	switch payload[0] {
	case 'a', panicStep: // the handler panics when it has the answer
		o.say(frame(upcallKind|id, payload))
	case 'e':
		o.say(frame(errorKind|id, string(rpc.Strings(payload, "error", ""))))
	case 'n': // another call of the parent comes between
		o.others++
		o.say(frame(otherCall, "") + frame(upcallKind|id, payload))
	case 'x':
		o.unanswered[id] = payload
		o.say(frame(cancelKind|o.call, ""))
	case 'c', 'd':
		o.unanswered[id] = payload
		end := <-o.ends
		end()
	case 'E':
		o.broken = true
		must(o.t, unix.Shutdown(o.fd, unix.SHUT_WR))
	case 'K':
		o.broken, o.gone = true, true
		o.file.Close()
	case 'V':
		o.broken = true
		o.say(frame(upcallKind|0x0fffffff, "")) // which answers nothing
		must(o.t, unix.Shutdown(o.fd, unix.SHUT_WR))
	}
}

// otherCall is the id of the calls that the handler answers at once.
const otherCall = 1000

// waitingWay is what differs between the runs of one order.
type waitingWay struct {
	steps      string
	goroutines bool
	room       int // how many calls the parent takes: with one each has to wait until that before it, abandoned, was answered
}

// orderedWaiting is one order, and what has come of it.
type orderedWaiting struct {
	t *testing.T
	waitingWay

	fd   int
	file *os.File // the parent's end
	ends chan func()

	call       uint32            // the parent's
	running    bool              // it has no reply
	taken      int               // steps
	others     int               // other calls that have no reply
	unanswered map[uint32]string // calls of the child that were abandoned, or are about to be
	broken     bool              // no more calls can come
	gone       bool              // the parent has closed its end
}

func (o *orderedWaiting) errorf(format string, args ...any) {
	o.t.Helper()
	o.t.Errorf("%+v: %s", o.waitingWay, fmt.Sprintf(format, args...))
}

func (o *orderedWaiting) say(text string) {
	if _, err := o.file.WriteString(text); err != nil {
		o.errorf("%v", err)
	}
}

// endedCtx is a ctx that ends when it is told to, of what it is told.
type endedCtx struct {
	context.Context
	ended chan struct{}
	err   error
}

func (c *endedCtx) Done() <-chan struct{} { return c.ended }
func (c *endedCtx) Err() error {
	select {
	case <-c.ended:
		return c.err
	default:
		return nil
	}
}

// handle has the steps that are the request happen to its calls. After an x, or an end of the connection, its ctx may have ended.
func (o *orderedWaiting) handle(ctx context.Context, request rpc.Payload) (rpc.Payload, error) {
	over := false
	for i, step := range string(request) {
		callCtx := ctx
		if !over && (step == 'c' || step == 'd') {
			ended := &endedCtx{Context: ctx, ended: make(chan struct{}), err: context.Canceled}
			if step == 'd' {
				ended.err = context.DeadlineExceeded
			}
			callCtx = ended
			o.ends <- func() { close(ended.ended) }
		}
		payload := fmt.Sprintf("%c%d", step, i)
		reply, err := rpc.CallParentBytes(callCtx, []byte(payload))
		o.checkEnd(step, payload, string(reply), err, over)
		if over = over || strings.ContainsRune("EKV", step); over {
			continue
		}
		switch step {
		case panicStep:
			panic(errOrdered)
		case 'x':
			return nil, ctx.Err()
		}
	}
	return rpc.Payload(strconv.Itoa(len(request))), nil
}

// checkEnd checks that a call of the child ends as its step says.
func (o *orderedWaiting) checkEnd(step rune, payload, reply string, err error, over bool) {
	remote, isRemote := errors.AsType[*rpc.RemoteError](err)
	broken := isLost(err) || errors.Is(err, rpc.ErrShutdown) || o.goroutines && errors.Is(err, rpc.ErrCanceled)
	ok := false
	switch {
	case over:
		ok = broken
	case step == 'e':
		ok = isRemote && remote.Message == payload
	case step == 'x', step == 'c':
		ok = errors.Is(err, rpc.ErrCanceled)
	case step == 'd':
		ok = errors.Is(err, rpc.ErrDeadline)
	case step == 'E':
		ok = isLost(err) && errors.Is(err, rpc.ErrShutdown)
	case step == 'K', step == 'V':
		ok = isLost(err) || o.goroutines && broken
	default:
		ok = err == nil && reply == payload
	}
	if !ok {
		o.errorf("%s ends with %q, %v", payload, reply, err)
	}
}

// run is the parent.
func (o *orderedWaiting) run() {
	ours, theirs := socketpair(o.t)
	patience := unix.NsecToTimeval(int64(guard))
	must(o.t, unix.SetsockoptTimeval(ours, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience))
	o.fd, o.file, o.ends = ours, fileOf(ours), make(chan func(), 1)
	o.unanswered = map[uint32]string{}
	defer o.file.Close()
	server, err := rpc.NewServer(sameFD(theirs), rpc.ServerConfig{})
	must(o.t, err)
	ended := make(chan error)
	go func() {
		var err error
		if o.goroutines {
			err = server.ServeGoroutines(o.handle, 2)
		} else {
			err = server.ServeSync(o.handle)
		}
		unix.Close(theirs)
		ended <- err
	}()
	o.say(frame(helloWord, string(rpc.Strings("evfork", "1", "features", "cancel calls", "calls", strconv.Itoa(o.room)))))
	o.next()
	for o.frame() {
	}
	o.file.Close() // a child that still waits, longer than the guard, has an end of that
	o.checkOver(server, <-ended)
}

// next makes a call for the steps that are left, or ends the input behind the last.
func (o *orderedWaiting) next() {
	switch {
	case o.broken, o.running:
	case o.taken < len(o.steps):
		o.call++
		o.running = true
		o.say(frame(o.call, o.steps[o.taken:]))
	case o.others == 0:
		o.answerAll()
		must(o.t, unix.Shutdown(o.fd, unix.SHUT_WR))
		o.broken = true
	}
}

// answerAll answers what the child does not wait for any more.
func (o *orderedWaiting) answerAll() {
	for id, payload := range o.unanswered {
		o.say(frame(upcallKind|id, payload))
		delete(o.unanswered, id)
	}
}

// frame reads one, and acts on it. false is the end.
func (o *orderedWaiting) frame() bool {
	if o.gone {
		return false
	}
	header := make([]byte, 8)
	_, err := io.ReadFull(o.file, header)
	if err != nil {
		if err != io.EOF && !errors.Is(err, unix.ECONNRESET) {
			o.errorf("the child's output ends with %v", err)
		}
		return false
	}
	payload := make([]byte, binary.BigEndian.Uint32(header[4:]))
	_, err = io.ReadFull(o.file, payload)
	must(o.t, err)
	word := binary.BigEndian.Uint32(header)
	switch kind, id := word>>28<<28, word<<4>>4; {
	case word == helloWord:
	case kind == upcallKind && !o.broken && strings.HasPrefix(o.steps[o.taken:], string(payload[:1])):
		o.taken++
		o.react(id, string(payload))
	case kind == cancelKind && o.unanswered[id] != "":
		if o.room == 1 {
			o.answerAll()
		}
	case word == otherCall:
		o.others--
		o.next()
	case id == o.call && o.running && (kind == 0 || kind == errorKind):
		o.running = false
		o.next()
	case !o.broken || kind != cancelKind:
		o.errorf("a frame of kind %d with id %d comes behind step %d", kind>>28, id, o.taken)
	}
	return true
}

// checkOver checks how the server has ended, and what it has left.
func (o *orderedWaiting) checkOver(server *rpc.Server, err error) {
	_, violated := errors.AsType[*rpc.ProtocolError](err)
	end := o.steps[o.taken-1]
	if violated != (end == 'V') || err != nil && !violated && !o.gone {
		o.errorf("the server ends with %v", err)
	}
	if !o.broken || (o.running || o.others > 0) && end != 'K' && end != 'V' {
		o.errorf("%d steps were taken, %d other calls have no reply", o.taken, o.others)
	}
	if n := rpc.OpenUpcalls(server); n > 0 {
		o.errorf("%d calls are left", n)
	}
}

// Every order of three steps, with room for one call, and for as many as there are.
func TestEveryOrderOfUpcallsThatAreWaitedFor(t *testing.T) {
	leaktest.Check(t)
	length := 3
	if testing.Short() || raceDetector {
		length = 2
	}
	eachOrder(waitingSteps, length, func(steps string) {
		for _, room := range []int{1, length + 1} {
			for _, goroutines := range []bool{false, true} {
				(&orderedWaiting{t: t, waitingWay: waitingWay{steps: steps + "a", goroutines: goroutines, room: room}}).run()
			}
		}
	})
}
