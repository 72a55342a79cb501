package rpc

import (
	"encoding/binary"
	"math"
)

// Wire is the format of frames. Both sides have to be told the same. A parent that speaks
// Evfork to a child that does not gets child.ErrStartTimeout, or a *ProtocolError. On AnyEvent's
// wires, which have no hello, nobody notices, and calls may have no end but their deadline.
type Wire uint8

const (
	// Evfork is this module's own: AnyEventAsync's frames, with a kind in the top
	// four bits of the id, and a hello first in each direction.
	Evfork Wire = iota
	// AnyEventAsync is the wire of AnyEvent::Fork::RPC's asynchronous backend, byte
	// for byte: all 32 bits are the id, and the child echoes it.
	AnyEventAsync
	// AnyEventSync is the wire of its synchronous backend, byte for byte: there are no
	// ids, and replies come in the order of the calls. A server that finishes
	// out of order (ServeAsync, ServeGoroutines) holds replies back until their
	// turn; the process ends if a call fails, so the calls behind it are lost.
	AnyEventSync
)

// String names the wire.
func (w Wire) String() string {
	switch w {
	case Evfork:
		return "evfork"
	case AnyEventAsync:
		return "anyevent-async"
	case AnyEventSync:
		return "anyevent-sync"
	default:
		return "unknown wire"
	}
}

// A frame is a header of two big-endian 32-bit words and a payload:
//
//	word    on the Evfork wire: kind<<28 | id; on AnyEventAsync: id
//	length  of the payload in bytes
//	payload
//
// Parent to child, a frame of kind 0 is a call; child to parent it is the reply
// to the call with that id, or an event if the id is 0. On AnyEventSync the word of a
// reply is 1, and calls have no word.
const headerSize = 8

// lengthSize is the header of a frame without a word.
const lengthSize = 4

// callHeaderSize is the size of a call's header.
func (w Wire) callHeaderSize() int {
	if w == AnyEventSync {
		return lengthSize
	}
	return headerSize
}

// appendRoom appends room for a call's header, which is filled in when the payload is known.
func (w Wire) appendRoom(buf []byte) []byte {
	if w == AnyEventSync {
		return append(buf, 0, 0, 0, 0)
	}
	return append(buf, 0, 0, 0, 0, 0, 0, 0, 0)
}

// syncReply is the word of a reply on the wire AnyEventSync; 0 is an event's.
const syncReply = 1

// replyWord is the word of the reply to a call.
func (w Wire) replyWord(id uint32) uint32 {
	if w == AnyEventSync {
		return syncReply
	}
	return kindCall.word(id)
}

// kind is the top four bits of an Evfork word. docs/protocol.md lists the
// numbers that later versions have reserved.
type kind uint32

const (
	kindCall      kind = 0  // a call or a reply; with id 0, from the child, an event
	kindError     kind = 1  // error reply: see error_reply.go
	kindPart      kind = 2  // part of a reply, or, from the parent, of a request
	kindCancel    kind = 3  // nobody waits for the call any more
	kindMetaCall  kind = 4  // call with metadata
	kindUpcall    kind = 5  // call of the child to the parent, and the reply to it
	kindCredit    kind = 6  // so many bytes more of parts may come
	kindPartsEnd  kind = 10 // no parts of a request follow
	kindHold      kind = 11 // the child wants no calls for now, or wants them again
	kindExtension kind = 14 // ignored, whatever it is
	kindHello     kind = 15

	kindShift = 28
)

// eventID is the id that is never a call's.
const eventID = 0

// The ids of kindHold.
const (
	holdOff = 0
	holdOn  = 1
)

// idMask is the bits of the word that are the id.
func (w Wire) idMask() uint32 {
	if w == Evfork {
		return 1<<kindShift - 1
	}
	return 1<<32 - 1
}

// split takes a word apart.
func (w Wire) split(word uint32) (kind, uint32) {
	if w == Evfork {
		return kind(word >> kindShift), word & (1<<kindShift - 1)
	}
	return kindCall, word
}

func (k kind) word(id uint32) uint32 { return uint32(k)<<kindShift | id }

// defaultMaxFrame limits a payload, unless configured otherwise.
const defaultMaxFrame = 64 << 20

// maxFrame turns a configured limit into the one in force.
func maxFrame(configured int) uint32 {
	if configured <= 0 {
		return defaultMaxFrame
	}
	return uint32(min(uint64(configured), 1<<32-1, math.MaxInt-headerSize))
}

// appendFrame appends a frame to buf.
func appendFrame(buf []byte, word uint32, payload []byte) []byte {
	buf = binary.BigEndian.AppendUint64(buf, uint64(word)<<32|uint64(uint32(len(payload))))
	return append(buf, payload...)
}
