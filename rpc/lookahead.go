package rpc

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// lookahead finds the cancels in what a server has read before the calls
// that they cancel are begun. It sees the bytes as they are read, ahead of the decoder.
type lookahead struct {
	header   [headerSize]byte
	have     int            // of the header
	skip     uint64         // of the payload
	canceled map[uint32]int // how often: one may be of a call before that had the same id
	found    []uint32       // by the last scan
}

// scan looks at bytes that have been read, behind those of the last scan, and
// returns the ids of the calls that they cancel.
func (l *lookahead) scan(data []byte) []uint32 {
	l.found = l.found[:0]
	for len(data) > 0 {
		if l.skip > 0 {
			n := min(l.skip, uint64(len(data)))
			data, l.skip = data[n:], l.skip-n
			continue
		}
		header := data
		if l.have > 0 || len(data) < headerSize {
			n := copy(l.header[l.have:], data)
			data, l.have = data[n:], l.have+n
			if l.have < headerSize {
				break
			}
			header, l.have = l.header[:], 0
		} else {
			data = data[headerSize:]
		}
		l.skip = uint64(binary.BigEndian.Uint32(header[4:]))
		if k, id := Evfork.split(binary.BigEndian.Uint32(header)); k == kindCancel {
			if l.canceled == nil {
				l.canceled = map[uint32]int{}
			}
			l.canceled[id]++
			l.found = append(l.found, id)
		}
	}
	return l.found
}

// has reports whether the cancel of a call has been found, and the decoder has not come to it.
func (l *lookahead) has(id uint32) bool { return l.canceled[id] > 0 }

// passed forgets a cancel that the decoder has come to.
func (l *lookahead) passed(id uint32) {
	if l.canceled[id] > 1 {
		l.canceled[id]--
		return
	}
	delete(l.canceled, id)
}

// leastAhead is how much room there must be to read ahead.
const leastAhead = 4 << 10

// readAhead reads what has come while a call was handled, if there is room
// behind what waits, and returns it. It does not block. An EOF or an error is
// found again by the next read.
func (r *frameReader) readAhead() []byte {
	waits := len(r.decoder.in)
	if len(r.buf)-waits < leastAhead {
		return nil
	}
	fds := []unix.PollFd{{Fd: int32(r.fd), Events: unix.POLLIN}}
	if n, err := unix.Poll(fds, 0); n <= 0 || err != nil || fds[0].Revents&unix.POLLIN == 0 {
		return nil
	}
	copy(r.buf, r.decoder.in)
	n, err := unix.Read(r.fd, r.buf[waits:])
	if n <= 0 || err != nil {
		n = 0
	}
	r.decoder.in = r.buf[: waits+n : waits+n]
	return r.buf[waits : waits+n]
}
