package rpc

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
)

// The hello is the first frame in each direction on the Evfork wire: kind hello,
// id 0, a STRING list of the magic word, the protocol's version, and then names
// and values of which unknown ones are ignored.
const (
	helloMagic    = "evfork"
	helloVersion  = 1 // the newest version that this package speaks
	oldestVersion = 1 // and the oldest
)

// The names in a hello. docs/protocol.md says what they mean.
const (
	helloOldest   = "oldest"
	helloCodec    = "codec"
	helloBuild    = "build"
	helloFeatures = "features"
	helloClock    = "clock"
	helloWindow   = "window"
	helloCalls    = "calls"
)

// defaultCodec is what both sides say unless they are told otherwise.
const defaultCodec = "string"

// The features of this package's two sides.
const (
	featureCalls    = "calls"
	featureCancel   = "cancel"
	featureCredits  = "credits"
	featureMetadata = "metadata"
	featureParts    = "parts"
)

// hello is what one side tells the other about itself.
type hello struct {
	version, oldest int
	codec, build    string // "": not stated
	clock           string // see clockName
	features        []string
	window          int64 // the credit for the parts of each call's request; of a child
	calls           int   // of the child that may be open, if the features have featureCalls
}

// ourHello is this side's.
func ourHello(codec, build string) hello {
	if codec == "" {
		codec = defaultCodec
	}
	return hello{
		version: helloVersion, oldest: oldestVersion, codec: codec, build: build, clock: clockName(),
		features: []string{featureCancel, featureCredits, featureMetadata, featureParts},
	}
}

// helloRoom is enough for most hellos: what grows step by step costs a worker two pages
// for each size of object.
const helloRoom = 256

// append appends the hello as a frame.
func (h *hello) append(buf []byte) []byte {
	start := len(buf)
	buf = AppendStrings(Evfork.appendRoom(buf), helloMagic, strconv.Itoa(h.version), helloOldest, strconv.Itoa(h.oldest))
	window := ""
	if h.window > 0 {
		window = strconv.FormatInt(h.window, 10)
	}
	for _, field := range [...][2]string{
		{helloCodec, h.codec},
		{helloBuild, h.build},
		{helloFeatures, strings.Join(h.features, " ")},
		{helloClock, h.clock},
		{helloWindow, window},
		{helloCalls, countOrNone(h.calls)},
	} {
		if field[1] != "" {
			buf = AppendStrings(buf, field[0], field[1])
		}
	}
	binary.BigEndian.PutUint64(buf[start:], uint64(kindHello.word(0))<<32|uint64(len(buf)-start-headerSize))
	return buf
}

// countOrNone is "" for none.
func countOrNone(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// parseHello reads the first frame of the other side.
func parseHello(word uint32, payload Payload) (hello, error) {
	if k, _ := Evfork.split(word); k != kindHello {
		text := printable(appendFrame(nil, word, payload))
		return hello{}, &ProtocolError{What: "the first frame is not a hello: does the other side speak another Wire?", Text: text}
	}
	name, version, rest, err := nextField(payload)
	if err == nil && string(name) != helloMagic {
		err = errBadList
	}
	h := hello{version: numberIn(string(version))}
	h.oldest = h.version
	for err == nil && len(rest) > 0 {
		var value []byte
		if name, value, rest, err = nextField(rest); err == nil {
			h.set(string(name), string(value))
		}
	}
	if err != nil {
		return hello{}, violation("the hello is malformed")
	}
	if h.oldest < 1 || h.oldest > h.version {
		return hello{}, violation("the hello is malformed: versions %q", string(version))
	}
	return h, nil
}

// nextField takes a name and its value from the list.
func nextField(list Payload) (name, value []byte, rest Payload, err error) {
	if name, rest, err = list.Next(); err == nil {
		value, rest, err = rest.Next()
	}
	return name, value, rest, err
}

// set takes one name and its value. Names of later versions are passed over.
func (h *hello) set(name, value string) {
	switch name {
	case helloOldest:
		h.oldest = numberIn(value)
	case helloCodec:
		h.codec = value
	case helloBuild:
		h.build = value
	case helloFeatures:
		h.features = strings.Fields(value)
	case helloClock:
		h.clock = value
	case helloWindow:
		n, _ := strconv.ParseUint(value, 10, 64) // the largest if it is larger, 0 for what is no number
		h.window = clampCredit(n)
	case helloCalls:
		h.calls = numberIn(value)
	}
}

// numberIn is 0 for what is no number.
func numberIn(s string) int {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0
	}
	return int(n)
}

func (h *hello) has(feature string) bool { return slices.Contains(h.features, feature) }

// takesCalls is how many calls of the child may be open; 0: the side takes none.
func (h *hello) takesCalls() int {
	if !h.has(featureCalls) {
		return 0
	}
	return h.calls
}

// sharesClock reports whether monotonic of one side means the same to the other.
func (h *hello) sharesClock(theirs *hello) bool { return h.clock != "" && h.clock == theirs.clock }

// conflict says why the two sides cannot work together. They speak the older of
// their newest versions, if both still can.
func (h *hello) conflict(theirs *hello) error {
	switch spoken := min(h.version, theirs.version); {
	case spoken < h.oldest || spoken < theirs.oldest:
		return violation("the other side speaks version %q of the protocol, this side %d",
			strconv.Itoa(theirs.version), h.version)
	case h.codec != "" && theirs.codec != "" && h.codec != theirs.codec:
		return violation("the other side's codec is %q, this side's %q", theirs.codec, h.codec)
	case h.build != "" && theirs.build != "" && h.build != theirs.build:
		return violation("the other side is build %q, this side %q", theirs.build, h.build)
	}
	return nil
}
