package rpc

import "github.com/evfork/evfork/internal/yield"

// How much of a batch of requests is held back. Parent and child are to work side by side: while the parent makes a part of the
// requests, the child answers another. If a part is too large they take turns, and goroutines that park late find no
// reply; if it is too small, the child is woken more often than it need be. docs/performance.md has the measurements.

const (
	// corkTransit is how many calls are on their way from one side to the other, rather: how many a side makes while the other
	// wakes up.
	corkTransit = 200
	// corkParts is into how many parts the others are cut.
	corkParts = 2
	// corkLeast is how many calls are worth a system call. If parts would be smaller it is left to the stream.
	corkLeast = 24
	// corkCap is the largest part, in bytes: beyond that no gain could be measured.
	corkCap = 16 << 10
)

// requestSizes tells how large the requests are that have been sent last.
type requestSizes struct {
	nextID   uint32 // callTable's, and
	accepted uint64 // Stream's, when it was asked last
	mean     uint64 // of the requests sent before that, in bytes; 0: something else was sent, such as parts
}

// update takes note of what has been sent since it was asked last.
func (r *requestSizes) update(calls *callTable, accepted uint64) {
	if accepted == r.accepted {
		return
	}
	made := uint64((calls.nextID - r.nextID) & calls.idMask)
	r.mean = 0
	if made > 0 {
		r.mean = (accepted - r.accepted) / made
	}
	r.nextID, r.accepted = calls.nextID, accepted
}

// setCork is called before what has been read is acted on: most requests are made by those who get a reply.
func (c *Client) setCork() {
	if yield.OneCPU {
		return // there is no side by side
	}
	c.sizes.update(&c.calls, c.stream.Accepted())
	c.stream.SetCork(corkFor(c.calls.count, c.sizes.mean))
}

// corkFor is how many bytes of a batch are held back, with so many calls in flight of so many bytes each; 0: the stream's default.
func corkFor(calls int, mean uint64) int {
	part := (calls - corkTransit) / corkParts
	if part < corkLeast {
		return 0
	}
	return int(min(uint64(part)*mean, corkCap))
}
