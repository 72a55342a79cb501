package rpc_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/rpctest"
)

// askingCounts are the calls that a server of FuzzUpcalls has made.
type askingCounts struct{ made, ended atomic.Int64 }

// FuzzUpcalls: whatever a parent says to a child that calls it for every request, in
// whatever pieces, a server returns, says nothing but frames, ends each of its calls
// once, and makes no more of them than the parent takes.
func FuzzUpcalls(f *testing.F) {
	seedBytes(f, func(data []byte) {
		data = []byte(strings.TrimPrefix(string(data), hello))
		for server := range byte(3) {
			f.Add(data, server, server)
		}
	})
	f.Fuzz(func(t *testing.T, data []byte, server, piece byte) {
		fx := newFixture(t)
		var counts askingCounts
		out, _ := fx.hear(rpctest.Config{ToChild: rpctest.Faults{Piece: int(piece)}}, append([]byte(helloTaking("2")), data...), func(fds rpc.FDs) error {
			return serveAsking(fds, server%3, &counts)
		})
		frames, pending, badOutput := rpc.Decode(1<<20, []byte(out))
		if badOutput != nil || pending > 0 {
			t.Errorf("the server said %q, which is no frames (%v, %d bytes left)", out, badOutput, pending)
		}
		may := 2
		given, _, _ := rpc.Decode(fuzzedFrame, data)
		for _, frame := range given {
			if k := frame.Word >> 28; k == 5 || k == 1 {
				may++
			}
		}
		for _, frame := range frames {
			if frame.Word>>28 == 5 {
				may--
			}
		}
		if may < 0 {
			t.Errorf("%d calls more than there may be", -may)
		}
		if counts.made.Load() != counts.ended.Load() {
			t.Errorf("%d calls were made, %d have ended", counts.made.Load(), counts.ended.Load())
		}
	})
}

func serveAsking(fds rpc.FDs, server byte, counts *askingCounts) error {
	s, err := rpc.NewServer(fds, rpc.ServerConfig{MaxFrame: fuzzedFrame, MaxConcurrent: 3})
	if err != nil {
		return err
	}
	handler := func(ctx context.Context, request rpc.Payload) (rpc.Payload, error) {
		counts.made.Add(1)
		defer counts.ended.Add(1)
		return rpc.CallParentBytes(ctx, request)
	}
	return serveNumbered(s, server, handler, func(request rpc.Payload, done rpc.Done) {
		err := s.GoParentBytes(func(reply rpc.Payload, err error) {
			counts.ended.Add(1)
			if err != nil {
				done.Fail(err)
				return
			}
			done.ReplyBytes(reply)
		}, request)
		if err != nil {
			done.Fail(err)
			return
		}
		counts.made.Add(1)
	})
}
