// Package cboritems looks at the items of CBOR for what package cbor lets pass.
package cboritems

import (
	"encoding/binary"
	"errors"
)

// The first byte of an item of CBOR (RFC 8949, section 3) is its major type and how its
// argument is written.
const (
	majorBytes = 2
	majorText  = 3
	majorArray = 4
	majorMap   = 5
	majorTag   = 6

	argumentInByte       = 24 // up to this one is the argument itself
	argumentInBytes      = 27 // the following are in 1, 2, 4 or 8 bytes
	tagStringRef         = 25
	tagSharedRef         = 29
	argumentBits         = 5
	argumentMask    byte = 1<<argumentBits - 1
)

// ErrLength is what package cbor does not see where an int has 32 bits: it takes a longer length for its low bits.
var ErrLength = errors.New("a length is longer than what was received")

// CheckLengths returns ErrLength if an item of data, which is well-formed to package cbor, is not as long as it says.
func CheckLengths(data []byte) error {
	_, err := HasReferences(data)
	return err
}

// HasReferences reports whether an item of data, which is well-formed to package cbor, refers to another one (tags 25 and
// 29). The error is that of CheckLengths. All items lie one behind the other, whatever contains them.
func HasReferences(data []byte) (found bool, err error) {
	for len(data) > 0 {
		major := data[0] >> argumentBits
		argument, size := argumentOf(data)
		data = data[size:]
		switch major {
		case majorBytes, majorText:
			if argument > uint64(len(data)) {
				return found, ErrLength
			}
			data = data[argument:]
		case majorArray, majorMap: // of which each element is a byte at least
			if argument > uint64(len(data)) {
				return found, ErrLength
			}
		case majorTag:
			found = found || argument == tagStringRef || argument == tagSharedRef
		}
	}
	return found, nil
}

// argumentOf returns the argument of the first item, and how many bytes the item has up
// to there. It is 0 if there is none: for a string of indefinite length, whose pieces are
// items, for a float, and so on.
func argumentOf(data []byte) (argument uint64, size int) {
	info := data[0] & argumentMask
	switch {
	case info < argumentInByte:
		return uint64(info), 1
	case info > argumentInBytes:
		return 0, 1
	}
	var wide [8]byte
	n := 1 << (info - argumentInByte)
	copy(wide[8-n:], data[1:])
	return binary.BigEndian.Uint64(wide[:]), 1 + n
}
