package rpc_test

import (
	"slices"

	"github.com/evfork/evfork/rpc"
)

// streamedFrames is what a parent may send for its streamed calls, for FuzzServer: which of them
// have parts.
type streamedFrames struct {
	calls   map[uint32]*streamedInput // every id that was a streamed call's
	unknown bool                      // it depends on whether a call has been answered
}

type streamedInput struct {
	open bool // the end of the parts has not come
	cost int
}

// takes reports whether frames of a kind belong to streamed calls.
func (s *streamedFrames) takes(kind uint32) bool {
	return kind == partKind>>28 || kind == creditKind>>28 || kind == endKind>>28
}

// follows reports whether a frame may come.
func (s *streamedFrames) follows(kind, id uint32, payload string) bool {
	if kind == creditKind>>28 {
		return len(payload) == 8
	}
	in := s.calls[id]
	if in == nil || !in.open {
		return false
	}
	in.open = kind == partKind>>28
	// What goes beyond the window is too much unless the handler has taken some, or has answered.
	s.unknown = s.unknown || in.cost >= 256<<10
	in.cost += len(payload) + 8
	return true
}

// begins reports whether a call with metadata may come.
func (s *streamedFrames) begins(id uint32, payload string) bool {
	block, _, _ := rpc.Payload(payload).Next()
	values, _ := rpc.Payload(block).Strings()
	window, input := false, false
	for pair := range slices.Chunk(values, 2) {
		window = window || pair[0] == "window"
		input = input || pair[0] == "input"
	}
	if !window && !input {
		return true
	}
	before := s.calls[id]
	if before != nil && before.open {
		return false
	}
	s.unknown = s.unknown || before != nil // perhaps it has not been answered
	if s.calls == nil {
		s.calls = map[uint32]*streamedInput{}
	}
	s.calls[id] = &streamedInput{open: input}
	return true
}
