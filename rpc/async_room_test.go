package rpc_test

import (
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/evfork/evfork/rpc"
)

// untiring is an async server in this process whose handlers send parts for ever, written in the obvious
// way: whoever gets ErrFull waits for room, and any other error is the end.
type untiring struct {
	f      *fixture
	server *rpc.Server
	errs   []error // how the handlers' sending ended
	told   int     // how often OnRoom's function was called
}

// serve has the server read what is said, and the EOF, which comes when it has said so many bytes itself. It returns
// all it has said.
func (r *untiring) serve(said string, eof int) (string, error) {
	t := r.f.t
	ours, theirs := socketpair(t)
	file := fileOf(ours)
	defer file.Close()
	_, err := file.WriteString(said)
	must(t, err)
	out := make(chan string, 1)
	go func() {
		begin := readBytes(file, eof)
		syscall.Shutdown(ours, syscall.SHUT_WR) // an error means that the server has closed its side
		out <- begin + readToEnd(file)
	}()
	r.server, err = rpc.NewServer(sameFD(theirs), rpc.ServerConfig{})
	must(t, err)
	err = r.server.ServeAsync(r.f.Loop, r.begin)
	return <-out, err
}

func (r *untiring) begin(_ rpc.Payload, done rpc.Done) {
	var send func()
	send = func() {
		for {
			switch err := done.PartBytes([]byte("part")); err {
			case nil:
			case rpc.ErrFull:
				done.OnRoom(func() { r.told++; send() })
				return
			default:
				r.errs = append(r.errs, err)
				done.Fail(err)
				return
			}
		}
	}
	send()
}

// limitedCall is a call whose reply has a credit for one part, with so many nanoseconds until its
// deadline, if that is not 0.
func limitedCall(id uint32, left uint64) string {
	list := rpc.Strings("window", string(bigEndian(1)))
	if left > 0 {
		list = rpc.AppendStrings(list, "deadline", string(bigEndian(0))+string(bigEndian(left)))
	}
	return frame(metaKind|id, string(rpc.Strings(string(list))))
}

// strangersHello is the hello of a parent that takes parts and has a clock of its own.
var strangersHello = frame(helloWord, string(rpc.Strings("evfork", "1", "features", "cancel parts credits metadata")))

// A handler that waited for room, and had not set OnCancel, waited for ever when nothing could come that made room.
func TestHandlerThatWaitsForRoomHearsOfTheEnd(t *testing.T) {
	answered := len(ourHello + frame(partKind|1, "part") + frame(errorKind|1, ""))
	for _, c := range []struct {
		name, call, then string
		is               error
		eof              int
		lost             bool // and the server returns an error
	}{
		{"cancel", limitedCall(1, 0), frame(cancelKind|1, ""), rpc.ErrCanceled, answered, false},
		{"deadline", limitedCall(1, 1_000_000), "", rpc.ErrDeadline, answered, false},
		{"EOF", limitedCall(1, 0), "", io.ErrUnexpectedEOF, 0, false},
		{"violation", limitedCall(1, 0), frame(helloWord, ""), nil, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &untiring{f: newFixture(t)}
			out, err := r.serve(strangersHello+c.call+c.then, c.eof)
			if (err != nil) != c.lost {
				t.Errorf("the server returned %v", err)
			}
			gone := c.lost || c.is == io.ErrUnexpectedEOF
			if len(r.errs) != 1 || r.told != 1 || isLost(r.errs[0]) != gone || !c.lost && !errors.Is(r.errs[0], c.is) {
				t.Fatalf("OnRoom's function was called %d times, sending ended with %v", r.told, r.errs)
			}
			if !c.lost && strings.Count(out, frame(partKind|1, "part")) != 1 || !c.lost && !strings.Contains(out, r.errs[0].Error()) {
				t.Errorf("the server said %q", out)
			}
		})
	}
}
