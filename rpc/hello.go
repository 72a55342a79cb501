package rpc

import "strconv"

// The hello is the first frame in each direction on the Evfork wire: kind hello,
// id 0, a STRING list of the magic word, the protocol's version, and then names
// and values of which unknown ones are ignored.
const (
	helloMagic   = "evfork"
	helloVersion = 1
)

// appendHello appends the hello of this side.
func appendHello(buf []byte) []byte {
	payload := Strings(helloMagic, strconv.Itoa(helloVersion), "codec", "string")
	return appendFrame(buf, kindHello.word(0), payload)
}

// checkHello says what is wrong with the first frame of the other side.
func checkHello(word uint32, payload Payload) error {
	if k, _ := Evfork.split(word); k != kindHello {
		text := printable(appendFrame(nil, word, payload))
		return &ProtocolError{What: "the first frame is not a hello", Text: text}
	}
	values, err := payload.Strings()
	switch {
	case err != nil || len(values) < 2 || values[0] != helloMagic:
		return violation("the hello is malformed")
	case values[1] != strconv.Itoa(helloVersion):
		return violation("the other side speaks version %q of the protocol, this side %d", values[1], helloVersion)
	}
	return nil
}
