package reactor_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/evfork/evfork/reactor"
)

// unitOf makes a unit of two bytes of a fuzzer's, with a limit that is small
// enough to be met.
func unitOf(kind, limit byte) reactor.Unit {
	n := int(limit%40) + 1
	switch kind %= byte(reactor.Netstring) + 4; kind {
	case 0:
		return reactor.Line(n)
	case 1:
		return reactor.Fixed(n)
	case 2:
		return reactor.Line(n).OrEOF()
	default:
		return reactor.Prefixed(reactor.Prefix(kind-3), n)
	}
}

// outcome is all that a reader made of its bytes.
func outcome(unit reactor.Unit, pieces ...string) string {
	units, err := readAll(unit, pieces...)
	var partial *reactor.PartialError
	if errors.As(err, &partial) {
		return fmt.Sprintf("%q, partial %q", units, partial.Partial)
	}
	return fmt.Sprintf("%q, %v", units, err)
}

// FuzzReaderSplits: the same bytes, cut at every point, make the same units and
// the same error.
func FuzzReaderSplits(f *testing.F) {
	for kind := range byte(reactor.Netstring) + 4 {
		f.Add(kind, byte(9), []byte("a\r\nbc\n\nabcdefghi\r\nabcdefghij\n"))
		f.Add(kind, byte(9), []byte("\x00\x00\x00\x01a\x00\x00\x00\x02bc"))
		f.Add(kind, byte(9), []byte("\x01\x00\x00\x00\x00\x00\x00\x00a\x0a"))
		f.Add(kind, byte(12), []byte("0:,1:a,12:abcdefghijkl,13:"))
		f.Add(kind, byte(3), []byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"))
	}
	f.Fuzz(func(t *testing.T, kind, limit byte, data []byte) {
		if len(data) > 300 {
			data = data[:300]
		}
		unit := unitOf(kind, limit)
		want := outcome(unit, string(data))
		everySplit(string(data), func(pieces ...string) {
			if got := outcome(unit, pieces...); got != want {
				t.Errorf("%q: got %s, want %s", pieces, got, want)
			}
		})
	})
}

// FuzzReaderRoundTrip: what Append has written comes out again, through units of
// several kinds by turns, asked for one at a time.
func FuzzReaderRoundTrip(f *testing.F) {
	f.Add([]byte("one\ttwo\t\tthree"), byte(0), byte(1))
	f.Add([]byte("\x00\xff\r"), byte(7), byte(3))
	f.Add([]byte(""), byte(1), byte(1)) // a unit of no bytes, and no bytes
	f.Add(bytes.Repeat([]byte("long "), 50), byte(11), byte(100))
	f.Fuzz(func(t *testing.T, data []byte, kinds, piece byte) {
		payloads := strings.Split(string(data), "\t")
		units := make([]reactor.Unit, len(payloads))
		var wire []byte
		for i := range payloads {
			units[i] = roundTripUnit(int(kinds)+i, &payloads[i])
			wire = units[i].Append(wire, []byte(payloads[i]))
		}
		var r reactor.Reader
		var got []string
		var ask func()
		ask = func() {
			if n := len(got); n < len(units) {
				must(t, r.Push(units[n], func(p []byte) {
					got = append(got, string(p))
					ask()
				}))
			}
		}
		ask()
		for p := range slices.Chunk(wire, int(piece)+1) {
			must(t, r.Feed(bytes.Clone(p)))
		}
		must(t, r.End())
		if !slices.Equal(got, payloads) {
			t.Errorf("got %q, want %q", got, payloads)
		}
	})
}

// roundTripUnit chooses a unit, and makes the payload one that it can carry.
func roundTripUnit(kind int, payload *string) reactor.Unit {
	kind %= int(reactor.Netstring) + 3
	*payload = (*payload)[:min(len(*payload), 65535)]
	switch kind {
	case 0:
		*payload = strings.TrimRight(strings.ReplaceAll(*payload, "\n", ""), "\r")
		return reactor.Line(0)
	case 1:
		return reactor.Fixed(len(*payload))
	case 2:
		*payload = (*payload)[:min(len(*payload), 255)]
	}
	return reactor.Prefixed(reactor.Prefix(kind-2), 0)
}
