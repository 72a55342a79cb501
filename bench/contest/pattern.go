package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// A pattern is an endless stream of numbered 8-byte words, each scrambled by a
// function that can be undone. So a receiver checks every byte, and where bytes
// are missing, repeated or from elsewhere, what follows tells how many and which.
type pattern struct{ seed uint64 }

const wordSize = 8

// word scrambles the number and adds a key of the seed's: a stream repeats no
// aligned word, and the words of another seed are no numbers here.
func (p pattern) word(k uint64) uint64 { return scramble(k) ^ p.key() }

// number undoes word.
func (p pattern) number(x uint64) uint64 { return unscramble(x ^ p.key()) }

func (p pattern) key() uint64 { return scramble(^p.seed) }

// scramble is splitmix64's finalizer, and unscramble its inverse: the
// multipliers are each other's inverses modulo 2^64.
func scramble(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func unscramble(x uint64) uint64 {
	x = (x ^ x>>31 ^ x>>62) * 0x319642b2d24d8ec3
	x = (x ^ x>>27 ^ x>>54) * 0x96de1b173f119089
	return x ^ x>>30 ^ x>>60
}

// fill writes the bytes that begin at offset.
func (p pattern) fill(buf []byte, offset int64) {
	var word [wordSize]byte
	for len(buf) > 0 {
		at := offset % wordSize
		x := p.word(uint64(offset / wordSize))
		var n int
		if at == 0 && len(buf) >= wordSize {
			binary.LittleEndian.PutUint64(buf, x)
			n = wordSize
		} else {
			binary.LittleEndian.PutUint64(word[:], x)
			n = copy(buf, word[at:])
		}
		buf, offset = buf[n:], offset+int64(n)
	}
}

func (p pattern) bytes(size int) []byte {
	buf := make([]byte, size)
	p.fill(buf, 0)
	return buf
}

// resyncSize is how many bytes after a mismatch are looked at to find out where
// in the stream they belong: three words at any alignment.
const resyncSize = 4 * wordSize

// A verifier checks that what it is given is the pattern from its beginning.
type verifier struct {
	pattern    pattern
	at         int64 // offset in the stream of the next byte expected
	received   int64
	lost       int64 // bytes that were skipped
	duplicated int64 // bytes that came again
	foreign    int64 // bytes that belong nowhere in the stream

	suspect []byte // after a mismatch: what came since, at most resyncSize
	expect  []byte // scratch
}

func newVerifier(p pattern) *verifier { return &verifier{pattern: p} }

// take checks the next bytes of the stream.
func (v *verifier) take(data []byte) {
	v.received += int64(len(data))
	for len(data) > 0 {
		if v.suspect != nil {
			n := min(resyncSize-len(v.suspect), len(data))
			v.suspect = append(v.suspect, data[:n]...)
			data = data[n:]
			if len(v.suspect) == resyncSize {
				v.resync()
			}
			continue
		}
		data = data[v.match(data):]
	}
}

// match takes what is as expected; at the first byte that is not it begins to
// collect suspects and returns.
func (v *verifier) match(data []byte) int {
	if cap(v.expect) < len(data) {
		v.expect = make([]byte, len(data))
	}
	want := v.expect[:len(data)]
	v.pattern.fill(want, v.at)
	for i, b := range want {
		if b != data[i] {
			v.at += int64(i)
			v.suspect = make([]byte, 0, resyncSize)
			return i
		}
	}
	v.at += int64(len(data))
	return len(data)
}

// resync finds where the suspects belong. If two neighbouring words of them
// carry neighbouring numbers, that is no accident.
func (v *verifier) resync() {
	for shift := range wordSize {
		first := v.pattern.number(binary.LittleEndian.Uint64(v.suspect[shift:]))
		second := v.pattern.number(binary.LittleEndian.Uint64(v.suspect[shift+wordSize:]))
		if second != first+1 || first > 1<<40 || shift > 0 && first == 0 {
			continue
		}
		begin := int64(first)*wordSize - int64(shift)
		known := make([]byte, shift+2*wordSize)
		v.pattern.fill(known, begin)
		if !bytes.HasPrefix(v.suspect, known) {
			continue // what precedes the words is foreign
		}
		switch {
		case begin >= v.at:
			v.lost += begin - v.at
		default:
			v.duplicated += v.at - begin
		}
		v.at = begin
		v.restart(v.suspect)
		return
	}
	v.foreign++
	v.restart(v.suspect[1:])
}

// restart checks bytes again that have been counted as received already.
func (v *verifier) restart(again []byte) {
	v.suspect = nil
	v.take(again)
	v.received -= int64(len(again))
}

// verdict judges a stream that was to be total bytes long and has ended, or
// does not go on.
func (v *verifier) verdict(total int64) Verdict {
	at, lost, foreign := v.at, v.lost, v.foreign
	if n := int64(len(v.suspect)); n > 0 {
		// Too few bytes came after the mismatch to tell by themselves, but they may
		// be the end of the stream.
		tail := make([]byte, n)
		v.pattern.fill(tail, total-n)
		if bytes.Equal(tail, v.suspect) && total-n >= at {
			lost += total - n - at
			at = total
		} else {
			foreign += n
		}
	}
	lost += max(0, total-at-foreign)
	switch {
	case foreign > 0:
		return Verdict{Kind: corrupts, Text: fmt.Sprintf("corrupts: %s foreign bytes among %s", group(foreign), group(total))}
	case lost > 0:
		return Verdict{Kind: loses, Text: fmt.Sprintf("lost %s of %s bytes", group(lost), group(total)), Weight: lost}
	case v.duplicated == 0 && at > total:
		return bad(repeats, "sends %s bytes too many", group(at-total))
	case v.duplicated > 0:
		return Verdict{Kind: repeats, Text: fmt.Sprintf("repeated %s bytes beyond %s", group(v.duplicated+max(0, at-total)), group(total))}
	}
	return good("")
}
