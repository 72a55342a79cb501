package rpc

import "time"

// incoming is a call that has reached a server.
type incoming struct {
	id       uint32
	deadline time.Time  // zero: none
	payload  Payload    // a view
	parts    *callParts // of a streamed call; nil for others
}

// late reports whether the call's deadline has passed: nobody waits for it.
func (i *incoming) late() bool { return isPast(i.deadline) }

// isPast reports whether a call with a deadline, which may be none, is late. time.Until reads one clock, where time.Now reads two.
func isPast(deadline time.Time) bool { return !deadline.IsZero() && time.Until(deadline) <= 0 }

// accept checks a frame of the parent and takes it apart, into call, which is the
// caller's to use again: returning it would copy it for every call. What is left to the caller
// depends on the kind that is returned:
//
//   - kindCall: to have call handled, whichever kind of call it was;
//   - kindCancel: to cancel the call with call.id;
//   - kindPart, kindPartsEnd, kindCredit: to tell who waits for it; it has been entered in
//     call.parts, unless that is nil: then nobody can wait any more;
//   - kindExtension: nothing.
func (s *Server) accept(word uint32, payload Payload, call *incoming) (k kind, err error) {
	if !s.greeted {
		return kindExtension, s.takeHello(word, payload)
	}
	if s.config.Wire == AnyEventSync {
		s.accepted++
		call.id, call.payload = s.accepted, payload
		return kindCall, nil
	}
	k, call.id = s.config.Wire.split(word)
	call.deadline, call.parts = time.Time{}, nil
	if call.id != eventID {
		switch k {
		case kindCall:
			call.payload = payload
			return k, nil
		case kindCancel:
			return k, nil
		case kindMetaCall:
			return kindCall, s.acceptMetadata(payload, call)
		case kindPart, kindPartsEnd:
			call.parts, err = s.acceptPart(k, call.id, payload)
			return k, err
		case kindCredit:
			call.parts, err = s.acceptCredit(call.id, payload)
			return k, err
		case kindUpcall, kindError:
			return kindExtension, s.upcalls.answered(k, call.id, payload)
		}
	}
	if k == kindExtension {
		return k, nil
	}
	return k, violation("the parent sent a frame of kind %d with id %d", k, call.id)
}

// acceptMetadata takes a call with metadata apart.
func (s *Server) acceptMetadata(payload Payload, call *incoming) (err error) {
	var m metadata
	if m, call.payload, err = parseMetadata(payload); err != nil {
		return err
	}
	if m.bounded {
		call.deadline = s.timebase.deadline(&m)
	}
	if m.limited || m.input {
		call.parts, err = s.addParts(call.id, &m)
	}
	return err
}

// takeHello takes the parent's hello.
func (s *Server) takeHello(word uint32, payload Payload) error {
	s.greeted = true
	theirs, err := parseHello(word, payload)
	if err != nil {
		return err
	}
	if err = s.hello.conflict(&theirs); err != nil {
		return err
	}
	s.takesParts = theirs.has(featureParts)
	s.timebase.shared = s.hello.sharesClock(&theirs)
	s.upcalls.grant(theirs.takesCalls())
	s.upcalls.tellRoom()
	return nil
}
