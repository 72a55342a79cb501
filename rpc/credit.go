package rpc

import (
	"encoding/binary"
	"math"
)

// The parts of a streamed call run on credit: whoever takes them says how many bytes
// of them may come, and grants more when it has done with some. A part may be
// sent while the credit is positive; then it costs its frame's length, so that the
// credit may be below zero by one part, and empty parts are not free. So what has
// come and was not done with is never more than the window, the credit given
// at first, and one part.

// defaultPartsWindow is the credit given at first unless configured, in bytes.
const defaultPartsWindow = 256 << 10

// creditSize is the length of a credit: 64 bits, big-endian, of bytes granted in
// addition to those before.
const creditSize = 8

// maxCredit is where a credit stays: no sum overflows.
const maxCredit = math.MaxInt64 / 2

// partCost is what a part of so many bytes costs.
func partCost(size int) int64 { return int64(size) + headerSize }

// appendCredit appends the payload of a credit.
func appendCredit(buf []byte, n int64) []byte { return binary.BigEndian.AppendUint64(buf, uint64(n)) }

// parseCredit reads one.
func parseCredit(id uint32, payload Payload) (int64, error) {
	if len(payload) != creditSize {
		return 0, violation("the credit for call %d has %d bytes", id, len(payload))
	}
	return clampCredit(binary.BigEndian.Uint64(payload)), nil
}

func clampCredit(n uint64) int64 { return int64(min(n, maxCredit)) }

// addCredit is the sum of two credits, of which b is not negative.
func addCredit(a, b int64) int64 { return min(a+b, maxCredit) }

// windowOf is a configured window, or its default.
func windowOf(configured int) int64 {
	if configured <= 0 {
		return defaultPartsWindow
	}
	return min(int64(configured), maxCredit)
}

// worthGranting reports whether so much that was done with should be granted now: a
// sender whose credit is used up waits for half of the window at most.
func worthGranting(taken, window int64) bool { return taken > 0 && taken >= window/2 }
