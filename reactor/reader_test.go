package reactor_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/evfork/evfork/reactor"
)

// readAll feeds the pieces to a reader that cuts them into one kind of unit, and
// returns the units and the first error.
func readAll(unit reactor.Unit, pieces ...string) (units []string, err error) {
	var r reactor.Reader
	if err := r.Each(unit, func(p []byte) { units = append(units, string(p)) }); err != nil {
		return nil, err
	}
	for _, p := range pieces {
		mine := []byte(p)
		if err := r.Feed(mine); err != nil {
			return units, err
		}
		clear(mine) // nothing of it may be kept
	}
	return units, r.End()
}

// everySplit calls fn with s cut in two at every point, and into single bytes.
func everySplit(s string, fn func(pieces ...string)) {
	for i := range len(s) + 1 {
		fn(s[:i], s[i:])
	}
	fn(strings.Split(s, "")...)
}

func TestUnitsAreFoundHoweverTheBytesComeIn(t *testing.T) {
	long := strings.Repeat("0123456789", 30)
	for _, c := range []struct {
		name string
		unit reactor.Unit
		in   string
		want []string
		err  error
	}{
		{"nothing", reactor.Line(0), "", nil, nil},
		{"lines", reactor.Line(0), "a\n\nbc\r\n\r\nd\re\n", []string{"a", "", "bc", "", "d\re"}, nil},
		{"only one \\r goes", reactor.Line(0), "a\r\r\n", []string{"a\r"}, nil},
		{"no end of line", reactor.Line(0), "a\nb", []string{"a"}, io.ErrUnexpectedEOF},
		{"the EOF ends it", reactor.Line(0).OrEOF(), "a\nb", []string{"a", "b"}, nil},
		{"the EOF ends it behind a \\r", reactor.Line(0).OrEOF(), "a\nb\r", []string{"a", "b"}, nil},
		{"the EOF ends nothing", reactor.Line(0).OrEOF(), "a\n", []string{"a"}, nil},
		{"as long as allowed", reactor.Line(3), "abc\nabc\r\n", []string{"abc", "abc"}, nil},
		{"too long", reactor.Line(3), "abc\nabcd\nabc\n", []string{"abc"}, reactor.ErrTooLong},
		{"too long without an end", reactor.Line(3), "abc\nabcd", []string{"abc"}, reactor.ErrTooLong},
		{"too long by its \\r", reactor.Line(3), "abc\r\r\n", nil, reactor.ErrTooLong},
		{"fixed", reactor.Fixed(2), "abcd", []string{"ab", "cd"}, nil},
		{"fixed, not complete", reactor.Fixed(2), "abc", []string{"ab"}, io.ErrUnexpectedEOF},
		{"uint8", reactor.Prefixed(reactor.Uint8, 0), "\x01a\x00\x02bc", []string{"a", "", "bc"}, nil},
		{"uint16", reactor.Prefixed(reactor.Uint16BE, 0), "\x00\x01a\x00\x02bc", []string{"a", "bc"}, nil},
		{"uint16 little endian", reactor.Prefixed(reactor.Uint16LE, 0), "\x01\x00a\x02\x00bc", []string{"a", "bc"}, nil},
		{"uint16, long", reactor.Prefixed(reactor.Uint16BE, 0), "\x01\x2c" + long, []string{long}, nil},
		{"uint32", reactor.Prefixed(reactor.Uint32BE, 0), "\x00\x00\x00\x01a", []string{"a"}, nil},
		{"uint32 little endian", reactor.Prefixed(reactor.Uint32LE, 0), "\x01\x00\x00\x00a", []string{"a"}, nil},
		{"uint64", reactor.Prefixed(reactor.Uint64BE, 0), "\x00\x00\x00\x00\x00\x00\x00\x01a", []string{"a"}, nil},
		{"uint64 little endian", reactor.Prefixed(reactor.Uint64LE, 0), "\x01\x00\x00\x00\x00\x00\x00\x00a", []string{"a"}, nil},
		{"uint32, too long", reactor.Prefixed(reactor.Uint32BE, 3), "\x00\x00\x00\x03abc\x00\x00\x00\x04abcd", []string{"abc"}, reactor.ErrTooLong},
		{"uint64, far too long", reactor.Prefixed(reactor.Uint64BE, 0), "\xff\xff\xff\xff\xff\xff\xff\xffabcd", nil, reactor.ErrTooLong},
		{"uint32, header not complete", reactor.Prefixed(reactor.Uint32BE, 0), "\x00\x00", nil, io.ErrUnexpectedEOF},
		{"uint32, payload not complete", reactor.Prefixed(reactor.Uint32BE, 0), "\x00\x00\x00\x03ab", nil, io.ErrUnexpectedEOF},
		{"uvarint", reactor.Prefixed(reactor.Uvarint, 0), "\x01a\x00\xac\x02" + long, []string{"a", "", long}, nil},
		{"uvarint beyond 64 bits", reactor.Prefixed(reactor.Uvarint, 0), strings.Repeat("\xff", 11), nil, reactor.ErrTooLong},
		{"netstring", reactor.Prefixed(reactor.Netstring, 0), "1:a,0:,300:" + long + ",", []string{"a", "", long}, nil},
		{"netstring at its limit", reactor.Prefixed(reactor.Netstring, 12), "12:abcdefghijkl,", []string{"abcdefghijkl"}, nil},
		{"netstring, too long", reactor.Prefixed(reactor.Netstring, 12), "1:a,13:abcdefghijklm,", []string{"a"}, reactor.ErrTooLong},
		{"netstring, limit of one digit", reactor.Prefixed(reactor.Netstring, 5), "9:abcdefghi,", nil, reactor.ErrTooLong},
		{"netstring, far too long", reactor.Prefixed(reactor.Netstring, 0), strings.Repeat("9", 40), nil, reactor.ErrTooLong},
		{"netstring without a comma", reactor.Prefixed(reactor.Netstring, 0), "1:a;", nil, reactor.ErrMalformed},
		{"netstring without a length", reactor.Prefixed(reactor.Netstring, 0), ":a,", nil, reactor.ErrMalformed},
		{"netstring with a leading zero", reactor.Prefixed(reactor.Netstring, 0), "01:a,", nil, reactor.ErrMalformed},
		{"netstring with a letter", reactor.Prefixed(reactor.Netstring, 0), "1a:a,", nil, reactor.ErrMalformed},
		{"no such prefix", reactor.Prefixed(reactor.Prefix(200), 0), "x", nil, reactor.ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			everySplit(c.in, func(pieces ...string) {
				got, err := readAll(c.unit, pieces...)
				if !slices.Equal(got, c.want) || !errors.Is(err, c.err) || c.err == nil && err != nil {
					t.Errorf("%q: got %q and %v, want %q and %v", pieces, got, err, c.want, c.err)
				}
			})
		})
	}
}

func TestPartialUnitIsReportedWithItsBytes(t *testing.T) {
	everySplit("ab\ncd\r", func(pieces ...string) {
		_, err := readAll(reactor.Line(0), pieces...)
		var partial *reactor.PartialError
		if !errors.As(err, &partial) || string(partial.Partial) != "cd\r" {
			t.Errorf("%q: got %v", pieces, err)
		}
	})
	if got := (&reactor.PartialError{Partial: []byte("abc")}).Error(); got != "reactor: unexpected EOF after 3 bytes of a unit" {
		t.Errorf("the error reads %q", got)
	}
}

func TestPushThatIsNotAnsweredMakesTheEOFUnexpected(t *testing.T) {
	var r reactor.Reader
	must(t, r.Push(reactor.Fixed(1), func([]byte) { t.Error("answered") }))
	wantErr(t, r.End(), io.ErrUnexpectedEOF)
}

// TestWhatIsReadNextIsDecidedInTheCallback reads a protocol of kinds, lengths and
// bodies, of which lines are one.
func TestWhatIsReadNextIsDecidedInTheCallback(t *testing.T) {
	everySplit("B\x02hiL\na line\r\nZB\x00B\x01!", func(pieces ...string) {
		var got []string
		var r reactor.Reader
		note := func(p []byte) { got = append(got, string(p)) }
		must(t, r.Each(reactor.Fixed(1), func(kind []byte) {
			switch kind[0] {
			case 'B':
				must(t, r.Push(reactor.Fixed(1), func(n []byte) {
					must(t, r.Push(reactor.Fixed(int(n[0])), note))
				}))
			case 'L': // in order, though asked for in reverse
				must(t, r.Unshift(reactor.Line(0), note))
				must(t, r.Unshift(reactor.Line(0), note))
			case 'Z':
				must(t, r.Push(reactor.Fixed(0), note))
			default:
				t.Fatalf("%q: kind %q", pieces, kind)
			}
		}))
		for _, p := range pieces {
			must(t, r.Feed([]byte(p)))
		}
		must(t, r.End())
		if want := []string{"hi", "", "a line", "", "", "!"}; !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", pieces, got, want)
		}
	})
}

func TestPushesAreAnsweredInOrderAndUnshiftsFirst(t *testing.T) {
	var got []string
	var r reactor.Reader
	ask := func(name string, how func(reactor.Unit, func([]byte)) error) {
		must(t, how(reactor.Fixed(1), func(p []byte) { got = append(got, name+string(p)) }))
	}
	ask("a", r.Push)
	ask("b", r.Push)
	ask("c", r.Unshift)
	ask("d", r.Push)
	ask("e", r.Unshift)
	must(t, r.Feed([]byte("12")))
	ask("f", r.Unshift)
	must(t, r.Feed([]byte("3456")))
	if want := []string{"e1", "c2", "f3", "a4", "b5", "d6"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestQueueThatIsNeverEmptyStaysSmall: there is always one asked for in advance.
func TestQueueThatIsNeverEmptyStaysSmall(t *testing.T) {
	var r reactor.Reader
	units := 0
	var next func([]byte)
	next = func([]byte) {
		units++
		must(t, r.Push(reactor.Fixed(1), next))
	}
	for range 3 {
		must(t, r.Push(reactor.Fixed(1), next))
	}
	data := make([]byte, 100)
	n := testing.AllocsPerRun(100, func() { must(t, r.Feed(data)) })
	if n != 0 || units != 10_100 {
		t.Errorf("%v allocations for 100 units of %d", n, units)
	}
}

func TestBytesNobodyAsksForAreKept(t *testing.T) {
	var r reactor.Reader
	must(t, r.Feed([]byte("one\ntw")))
	must(t, r.Feed([]byte("o\nthree")))
	if n := r.Buffered(); n != 13 {
		t.Errorf("%d bytes are held", n)
	}
	var got []string
	must(t, r.Push(reactor.Line(0), func(p []byte) { got = append(got, string(p)) }))
	if got != nil {
		t.Error("called inside Push")
	}
	must(t, r.Feed(nil))
	must(t, r.Each(reactor.Fixed(4), func(p []byte) { got = append(got, string(p)) }))
	must(t, r.Feed([]byte("!!")))
	if want := []string{"one", "two\n", "thre"}; !slices.Equal(got, want) || r.Buffered() != 3 {
		t.Errorf("got %q, want %q; %d bytes are held", got, want, r.Buffered())
	}
}

func TestEachOfNothingStopsDelivering(t *testing.T) {
	var r reactor.Reader
	calls := 0
	must(t, r.Each(reactor.Fixed(1), func([]byte) {
		calls++
		must(t, r.Each(reactor.Fixed(1), nil))
	}))
	must(t, r.Feed([]byte("abc")))
	if calls != 1 || r.Buffered() != 2 {
		t.Errorf("%d calls, %d bytes held", calls, r.Buffered())
	}
	wantErr(t, r.Each(reactor.Fixed(0), func([]byte) {}), reactor.ErrInvalid)
}

// TestAnotherUnitIsSearchedFromTheBeginning: what has been searched for the end
// of a line in vain may contain the end of something else.
func TestAnotherUnitIsSearchedFromTheBeginning(t *testing.T) {
	var r reactor.Reader
	var got []string
	note := func(p []byte) { got = append(got, string(p)) }
	must(t, r.Each(reactor.Fixed(100), note))
	must(t, r.Feed([]byte("a\nb\n")))
	must(t, r.Push(reactor.Line(0), note))
	must(t, r.Feed(nil))
	must(t, r.Unshift(reactor.Line(0), note))
	must(t, r.Feed(nil))
	if want := []string{"a", "b"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFeedFromACallbackComesBehindWhatIsBeingFed(t *testing.T) {
	var got []string
	var r reactor.Reader
	must(t, r.Each(reactor.Line(0), func(p []byte) {
		got = append(got, string(p))
		if string(p) == "1" {
			must(t, r.Feed([]byte("3\n4")))
			must(t, r.Feed([]byte("\n")))
		}
	}))
	must(t, r.Feed([]byte("1\n2\n")))
	if want := []string{"1", "2", "3", "4"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEndFromACallbackIsRefused(t *testing.T) {
	var r reactor.Reader
	must(t, r.Push(reactor.Fixed(1), func([]byte) { wantErr(t, r.End(), reactor.ErrNested) }))
	must(t, r.Feed([]byte("x")))
	must(t, r.End())
}

func TestReaderErrorsAreFinal(t *testing.T) {
	var r reactor.Reader
	must(t, r.Each(reactor.Line(1), func([]byte) {}))
	wantErr(t, r.Feed([]byte("abc\n")), reactor.ErrTooLong)
	wantErr(t, r.Feed([]byte("a\n")), reactor.ErrTooLong)
	wantErr(t, r.End(), reactor.ErrTooLong)
	wantErr(t, r.Push(reactor.Line(0), nil), reactor.ErrTooLong)
	wantErr(t, r.Unshift(reactor.Line(0), nil), reactor.ErrTooLong)
	wantErr(t, r.Each(reactor.Line(0), nil), reactor.ErrTooLong)
	if r.Buffered() != 0 {
		t.Errorf("%d bytes are held", r.Buffered())
	}
	var ended reactor.Reader
	must(t, ended.End())
	wantErr(t, ended.Feed([]byte("x")), io.EOF)
}

func TestUnitInOnePieceIsNotCopied(t *testing.T) {
	data := []byte("one\ntwo\n")
	var r reactor.Reader
	must(t, r.Each(reactor.Line(0), func(p []byte) {
		if &p[0] != &data[0] && &p[0] != &data[4] {
			t.Errorf("%q was copied", p)
		}
	}))
	must(t, r.Feed(data))
}

func TestReaderAllocatesNothingPerUnit(t *testing.T) {
	if raceEnabled {
		t.Skip("under -race pools are emptied at random: nothing to count")
	}
	for _, c := range []struct {
		name string
		unit reactor.Unit
	}{
		{"line", reactor.Line(0)},
		{"fixed", reactor.Fixed(10)},
		{"uint32", reactor.Prefixed(reactor.Uint32BE, 0)},
		{"netstring", reactor.Prefixed(reactor.Netstring, 0)},
	} {
		t.Run(c.name, func(t *testing.T) {
			stream := bytes.Repeat(c.unit.Append(nil, []byte("0123456789")), 50)
			var r reactor.Reader
			units := 0
			count := func([]byte) { units++ }
			must(t, r.Each(c.unit, count))
			n := testing.AllocsPerRun(100, func() {
				for i := 0; i < len(stream); i += 7 { // most units lie in several pieces
					must(t, r.Feed(stream[i:min(i+7, len(stream))]))
				}
				must(t, r.Push(c.unit, count))
				must(t, r.Feed(stream))
			})
			if n != 0 {
				t.Errorf("%v allocations", n)
			}
			if units != 101*100 {
				t.Errorf("%d units", units)
			}
		})
	}
}

// framings are all units that Append can write.
func framings() map[string]reactor.Unit {
	all := map[string]reactor.Unit{"line": reactor.Line(0)}
	for p := reactor.Uint8; p <= reactor.Netstring; p++ {
		all[fmt.Sprint("prefix ", p)] = reactor.Prefixed(p, 0)
	}
	return all
}

func TestAppendWritesWhatAReaderReads(t *testing.T) {
	payloads := []string{"", "a", strings.Repeat("x", 200), "\x00\x01\xff"}
	for name, unit := range framings() {
		t.Run(name, func(t *testing.T) {
			var wire []byte
			for _, p := range payloads {
				wire = unit.Append(wire, []byte(p))
			}
			everySplit(string(wire), func(pieces ...string) {
				got, err := readAll(unit, pieces...)
				must(t, err)
				if !slices.Equal(got, payloads) {
					t.Errorf("%q: got %q", pieces, got)
				}
			})
		})
	}
}
