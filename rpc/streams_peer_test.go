package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/rpc"
)

// The streamed calls of the tests' servers:
//
//	count n size   sends n parts of so many bytes, and replies how many
//	count and fail the same, but fails at the end
//	sum            replies how many parts the request has, and their bytes
//	pipe           sends each part of the request back, and replies how many

// partOf is the part with a number, of so many bytes.
func partOf(i, size int) []byte {
	b := bytes.Repeat([]byte{byte(i)}, size)
	copy(b, strconv.Itoa(i))
	return b
}

// handleParts answers for ServeSync and ServeGoroutines.
func (s *service) handleParts(ctx context.Context, args []string) (reply []string, err error, ok bool) {
	switch args[0] {
	case "count", "count and fail":
		n, size := numbers(args)
		for i := range n {
			if err := rpc.SendPart(ctx, partOf(i, size)); err != nil {
				return nil, s.tell(err), true
			}
		}
		if args[0] == "count and fail" {
			return nil, errors.New("as told"), true
		}
		return []string{args[1]}, nil, true
	case "sum", "pipe":
		n, size := 0, 0
		for part, err := range rpc.Parts(ctx) {
			if err == nil && args[0] == "pipe" {
				err = rpc.SendPart(ctx, part)
			}
			if err != nil {
				return nil, s.tell(err), true
			}
			n++
			size += len(part)
		}
		return []string{strconv.Itoa(n), strconv.Itoa(size)}, nil, true
	}
	return nil, nil, false
}

func numbers(args []string) (n, size int) {
	n, _ = strconv.Atoi(args[1])
	size, _ = strconv.Atoi(args[2])
	return n, size
}

// tell notes how a handler's waiting ended.
func (s *service) tell(err error) error {
	s.note([]string{"ended", err.Error()})
	return err
}

// asyncParts answers a streamed call for ServeAsync.
type asyncParts struct {
	service *service
	done    rpc.Done
	args    []string
	n, size int
	waiting [][]byte // parts that have to be sent back
	ended   bool
	answer  func() // nil: how many, and how large
}

func (a *asyncParts) begin() {
	a.done.OnCancel(func(err error) { a.done.Fail(a.service.tell(err)) })
	if strings.HasPrefix(a.args[0], "count") {
		a.done.PauseParts()
		a.count()
		return
	}
	a.done.OnParts(a.onPart, func() {
		a.ended = true
		a.pipe()
	})
}

func (a *asyncParts) count() {
	n, size := numbers(a.args)
	for ; a.n < n; a.n++ {
		if a.stop(a.done.PartBytes(partOf(a.n, size)), a.count) {
			return
		}
	}
	if a.args[0] == "count and fail" {
		a.done.Fail(errors.New("as told"))
		return
	}
	a.done.Reply(a.args[1])
}

// stop reports whether a part could not be sent; goOn is called when it can.
func (a *asyncParts) stop(err error, goOn func()) bool {
	switch err {
	case nil:
		return false
	case rpc.ErrFull:
		a.done.OnRoom(goOn)
	default:
		a.done.Fail(a.service.tell(err))
	}
	return true
}

func (a *asyncParts) onPart(part rpc.Payload) {
	a.n++
	a.size += len(part)
	if a.args[0] == "sum" {
		return
	}
	a.waiting = append(a.waiting, bytes.Clone(part))
	a.done.PauseParts()
	if len(a.waiting) == 1 {
		a.pipe()
	}
}

// pipe sends back what has come, and answers when all has been sent.
func (a *asyncParts) pipe() {
	for len(a.waiting) > 0 {
		if a.stop(a.done.PartBytes(a.waiting[0]), a.pipe) {
			return
		}
		a.waiting = a.waiting[1:]
	}
	a.done.ResumeParts()
	if a.ended && a.answer != nil {
		a.answer()
	} else if a.ended {
		a.done.Reply(strconv.Itoa(a.n), strconv.Itoa(a.size))
	}
}

// request is the payload of a call of theirs.
func request(args ...any) rpc.Payload {
	var values []string
	for _, a := range args {
		values = append(values, fmt.Sprint(a))
	}
	return rpc.Strings(values...)
}

// Frames of streamed calls.
const (
	partKind   = 0x20000000
	metaKind   = 0x40000000
	creditKind = 0x60000000
	endKind    = 0xa0000000
)

// windowCall is the frame of a streamed call.
func windowCall(id uint32, window uint64, input bool, request rpc.Payload) string {
	list := rpc.Strings("window", string(bigEndian(window)))
	if input {
		list = rpc.AppendStrings(list, "input", "")
	}
	return frame(metaKind|id, string(rpc.Strings(string(list)))+string(request))
}

func bigEndian(n uint64) []byte {
	b := make([]byte, 8)
	for i := range b {
		b[i] = byte(n >> (56 - 8*i))
	}
	return b
}

func credit(id uint32, n uint64) string { return frame(creditKind|id, string(bigEndian(n))) }

// heard is how many bytes a stranger could read.
func heard(file *os.File) int {
	buf := make([]byte, 1<<16)
	n, _, err := unix.Recvfrom(int(file.Fd()), buf, unix.MSG_PEEK|unix.MSG_DONTWAIT)
	if err != nil {
		return 0
	}
	return n
}

// hearsNoMore lets the loop write what it has, of which a stranger must get nothing.
func (f *fixture) hearsNoMore(file *os.File) {
	f.t.Helper()
	must(f.t, f.Poll(0))
	if n := heard(file); n > 0 {
		f.t.Errorf("%d more bytes came", n)
	}
}

// hears runs the loop until a stranger can read so many bytes, and returns these.
func (f *fixture) hears(file *os.File, n int) string {
	f.t.Helper()
	f.until(func() bool { return heard(file) >= n })
	buf := make([]byte, n)
	_, err := io.ReadFull(file, buf)
	must(f.t, err)
	return string(buf)
}
