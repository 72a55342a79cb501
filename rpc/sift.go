package rpc

import "encoding/binary"

// sift looks through input that a server keeps, because no call may begin, for frames that are for
// handlers that run: answers of the parent, and credit and parts of their calls. They take effect,
// and the gaps that they leave are closed; all others stay, in their order.
//
// Only the last unseen bytes of in have not been looked at before; they begin with a frame. It returns
// what is left of in, and how many bytes at its end, of a frame that is not whole, have to be looked
// at again when more has come. After an error the server cannot go on.
func (s *Server) sift(in []byte, unseen int) (rest []byte, stillUnseen int, err error) {
	kept := len(in) - unseen
	at := kept
	for err == nil && len(in)-at >= headerSize {
		word, size := binary.BigEndian.Uint32(in[at:]), binary.BigEndian.Uint32(in[at+lengthSize:])
		if size > s.maxFrame {
			err = violation("frame of %d bytes, more than the limit of %d", size, s.maxFrame)
			break
		}
		end := at + headerSize + int(size)
		if end > len(in) {
			break
		}
		if s.isForHandlers(word) {
			err = s.takeEffect(word, in[at+headerSize:end:end])
		} else {
			kept += move(in, kept, at, end)
		}
		at = end
	}
	stillUnseen = move(in, kept, at, len(in))
	return in[:kept+stillUnseen], stillUnseen, err
}

// isForHandlers reports whether a frame is for handlers that run, and not to be kept behind the
// calls before it. Parts of the calls that wait are kept with them.
func (s *Server) isForHandlers(word uint32) bool {
	switch k, id := Evfork.split(word); k {
	case kindUpcall, kindError:
		return true
	case kindPart, kindPartsEnd, kindCredit:
		return s.partsTable.find(id) != nil
	}
	return false
}

// takeEffect has a frame for a handler take effect.
func (s *Server) takeEffect(word uint32, payload Payload) error {
	var none incoming
	_, err := s.accept(word, payload, &none)
	return err
}

// move moves buf[from:end] to a place before it, and returns its length.
func move(buf []byte, to, from, end int) int {
	if to != from {
		copy(buf[to:], buf[from:end])
	}
	return end - from
}
