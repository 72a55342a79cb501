package rpc_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/evfork/evfork/rpc"
)

// Every few calls of the chaos are streamed ones, with parts both ways, to children that have them.

// chaosWindow is both windows: less than the parts of one call.
const chaosWindow = 60

// chaosParts is how many parts a request has, and its reply.
const chaosParts = 5

// begin makes the call.
func (k *chaosCall) begin() error {
	v := k.victim
	if !v.peer.pipes || k.n%7 != 0 {
		return v.client.GoTo(k, k.payload(), "some", "more")
	}
	options := rpc.StreamOptions{Window: chaosWindow, Input: true}
	if v.lies { // lost bytes may have both sides wait for each other
		options.Deadline = time.Now().Add(v.chaos.patience)
	}
	c := &chaosStream{chaosCall: k}
	s, err := v.client.GoStream(c, options, rpc.Strings(k.payload(), "some", "more"))
	if err != nil {
		return err
	}
	c.stream = s
	c.Room()
	return nil
}

// chaosStream is a streamed call.
type chaosStream struct {
	*chaosCall
	stream    *rpc.LoopStream
	sent, got int
}

func (c *chaosStream) part(i int) []byte {
	return rpc.Strings(c.payload(), "part", strconv.Itoa(i))
}

// Room implements rpc.RoomReceiver.
func (c *chaosStream) Room() {
	for ; c.sent < chaosParts; c.sent++ {
		if c.stream.Send(c.part(c.sent)) != nil {
			return // or the child is being lost
		}
	}
	c.stream.CloseSend()
}

// Part implements rpc.PartReceiver.
func (c *chaosStream) Part(part rpc.Payload) {
	if !c.victim.lies && !slices.Equal(part, c.part(c.got)) {
		c.victim.chaos.t.Errorf("part %d of call %d is %q", c.got, c.n, part)
	}
	c.got++
	if c.victim.chaos.ends[c.n] > 0 {
		c.victim.chaos.t.Errorf("a part of call %d came behind its end", c.n)
	}
}

// Complete implements rpc.Completion.
func (c *chaosStream) Complete(reply rpc.Payload, err error) {
	if err == nil && !c.victim.lies && c.got != chaosParts {
		c.victim.chaos.t.Errorf("call %d was answered after %d parts", c.n, c.got)
	}
	switch {
	case err == nil:
		c.victim.chaos.piped++
		c.victim.chaos.patience = max(c.victim.chaos.patience/2, shortPatience)
	case c.victim.lies && errors.Is(err, rpc.ErrDeadline):
		c.victim.giveUp() // it may wait for ever for what was lost
	}
	c.chaosCall.Complete(reply, err)
}

// pipe sends the parts of a request back, for a mirror.
func (s *service) pipe(ctx context.Context) error {
	for part, err := range rpc.Parts(ctx) {
		if err == nil {
			err = rpc.SendPart(ctx, part)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pipeAsync does it on a loop, and answers.
func (s *service) pipeAsync(request rpc.Payload, done rpc.Done) {
	request = slices.Clone(request)
	(&asyncParts{service: s, done: done, args: []string{"pipe"}, answer: func() {
		reply, err := s.reflect(request)
		if err != nil {
			done.Fail(err)
			return
		}
		done.ReplyBytes(reply)
	}}).begin()
}
