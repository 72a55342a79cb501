package gobcodec

import (
	"errors"
	"fmt"
)

// encoding/gob believes the number of entries that a map is said to have, and makes room for all; a list's it
// believes up to ten megabytes; and values may be nested as deeply as the memory of a goroutine's
// stack allows, whose end is the end of the process. So a checker walks over the bytes first, as its decoder
// will (encoding/gob's documentation, "Encoding Details"; decode.go and decoder.go of Go 1.26).

// maxLevels is how deeply values may be nested: as deeply as with encoding/json.
const maxLevels = 10000

var (
	errTruncated = errors.New("gobcodec: a length is more than what was received")
	errCorrupt   = errors.New("gobcodec: not an encoding of a value")
	errDeep      = fmt.Errorf("gobcodec: more than %d levels of nesting", maxLevels)
	errInterface = errors.New("gobcodec: an interface value, of which the type decoded into has none")
)

// check reports what is wrong with an encoding of one value, in whose type there are no interfaces.
func check(data []byte) error {
	c := checker{reader: reader{input: data}}
	c.message()
	return c.err
}

// checkMessages looks at the lengths of messages only: for each encoding/gob would make room for ten megabytes.
func checkMessages(data []byte) error {
	r := reader{input: data}
	for len(r.input) > 0 {
		r.next()
	}
	return r.err
}

// checker walks over a gob. After an error everything that it reads is 0.
type checker struct {
	reader
	types  wireTypes
	levels int
}

// message walks over definitions of types, each a message, and the message with the value.
func (c *checker) message() {
	for c.err == nil {
		c.next()
		id := c.id()
		if id >= 0 {
			c.topValue(id)
			return
		}
		c.define(-id)
		if len(c.buf) > 0 {
			c.fail(errCorrupt)
		}
	}
}

// topValue walks over the value of a message: one that is no struct is like the first field of one.
func (c *checker) topValue(id typeID) {
	if t := c.types[id]; (t == nil || t.kind != structKind) && c.uint() != 0 {
		c.fail(errCorrupt)
	}
	c.value(id)
}

// value walks over a value of a type.
func (c *checker) value(id typeID) {
	switch id {
	case boolID, intID, uintID, floatID:
		c.uint()
	case bytesID, stringID:
		c.skip(c.uint())
	case complexID:
		c.uint()
		c.uint()
	case interfaceID:
		c.fail(errInterface)
	default:
		c.defined(c.types[id])
	}
}

// defined walks over a value of a type that the gob has defined.
func (c *checker) defined(t *wireType) {
	if t == nil {
		c.fail(errCorrupt)
		return
	}
	if c.levels++; c.levels > maxLevels {
		c.fail(errDeep)
	}
	switch t.kind {
	case arrayKind:
		n := c.uint()
		if n != uint64(t.length) {
			c.fail(errCorrupt)
		}
		c.elements(n, t.elem)
	case sliceKind:
		c.elements(c.uint(), t.elem)
	case mapKind:
		c.elements(c.uint(), t.key, t.elem)
	case structKind:
		c.fields(len(t.fields), func(i int) { c.value(t.fields[i]) })
	case opaqueKind:
		c.skip(c.uint())
	}
	c.levels--
}

// elements walks over n elements, each of these types. Each has a byte at least, so that this ends
// with the bytes, whatever n is.
func (c *checker) elements(n uint64, ids ...typeID) {
	for ; n > 0 && c.err == nil; n-- {
		for _, id := range ids {
			if len(c.buf) == 0 {
				c.fail(errTruncated)
			}
			c.value(id)
		}
	}
}

// fields walks over a struct of n fields: the distance to the next field that is there, its value, and so on,
// until the distance is 0 or the message ends.
func (c *checker) fields(n int, each func(i int)) {
	for i := -1; len(c.buf) > 0; {
		distance := c.uint()
		if distance == 0 {
			return
		}
		if distance > uint64(n-1-i) {
			c.fail(errCorrupt)
			return
		}
		i += int(distance)
		each(i)
	}
}
