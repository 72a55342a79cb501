package rpc_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/evfork/evfork/rpc"
)

// The bytes of docs/protocol.md.
func TestGoldenBytes(t *testing.T) {
	long := strings.Repeat("y", 300)
	tests := []struct {
		name string
		got  []byte
		want string
	}{
		{"beginning of the hello", rpc.AppendHello(nil)[8:39], "06 6576666f726b 01 31 06 6f6c64657374 01 31 05 636f646563 06 737472696e67"},
		{"call on both wires", rpc.AppendFrame(nil, 1, rpc.Strings("add", "1", "3")), "00000001 00000008 03 616464 01 31 01 33"},
		{"last id of the Evfork wire", rpc.AppendFrame(nil, 0x0fffffff, nil), "0fffffff 00000000"},
		{"last id of AnyEvent's", rpc.AppendFrame(nil, 0xffffffff, nil), "ffffffff 00000000"},
		{"event", rpc.AppendFrame(nil, 0, rpc.Strings("")), "00000000 00000001 00"},
		{"empty list", rpc.Strings(), ""},
		{"lengths of one and two bytes", rpc.Strings(long[:127], long[:128]), "7f" + strings.Repeat("79", 127) + "8100" + strings.Repeat("79", 128)},
		{"length 300", rpc.Strings(long), "822c" + strings.Repeat("79", 300)},
		{"length 16384", rpc.Strings(strings.Repeat("z", 16384))[:4], "8180007a"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			want, err := hex.DecodeString(strings.ReplaceAll(test.want, " ", ""))
			must(t, err)
			if !bytes.Equal(test.got, want) {
				t.Errorf("is  %x\nnot %x", test.got, want)
			}
		})
	}
}

// The frames that each side really sends.
func TestGoldenConversation(t *testing.T) {
	tests := []struct {
		wire      rpc.Wire
		in, reply string
	}{
		{rpc.Evfork, hello + frame(7, "\x04echo\x02hi") + frame(0x0fffffff, "\x05event\x01e") + frame(9, "\x04fail\x03why"),
			ourHello + frame(7, "\x02hi") + frame(0, "\x01e") + frame(0x0fffffff, "\x04sent") + frame(errorKind|9, "\x03why\x05error\x00")},
		{rpc.AnyEventAsync, frame(7, "\x04echo\x02hi") + frame(0xffffffff, "\x05event\x01e"),
			frame(7, "\x02hi") + frame(0, "\x01e") + frame(0xffffffff, "\x04sent")},
		{rpc.AnyEventSync, syncCall("\x04echo\x02hi") + syncCall("\x05event\x01e"),
			frame(1, "\x02hi") + frame(0, "\x01e") + frame(1, "\x04sent")},
	}
	for _, server := range []string{"sync", "async", "goroutines"} {
		for _, test := range tests {
			t.Run(server+"/"+test.wire.String(), func(t *testing.T) {
				newFixture(t) // skips without a poller
				out, err := serveRaw(t, peer{server: server, wire: test.wire, limit: 1}, test.in)
				must(t, err)
				if out != test.reply {
					t.Errorf("is  %q\nnot %q", out, test.reply)
				}
			})
		}
	}
}

// Perl's own pack is the definition of the STRING serialiser.
func TestStringsAreWhatPerlPacks(t *testing.T) {
	perl, err := exec.LookPath("perl")
	if err != nil {
		t.Skip("there is no perl here to compare with")
	}
	script := `binmode STDOUT; print pack "(w/a*)*", map { "x" x $_ } @ARGV`
	for _, sizes := range [][]string{{}, {"0"}, {"1"}, {"127", "128"}, {"16383", "16384"}, {"2097151", "2097152", "3"}} {
		want, err := exec.Command(perl, append([]string{"-e", script}, sizes...)...).Output()
		must(t, err)
		var values []string
		for _, size := range sizes {
			n := 0
			for _, digit := range size {
				n = 10*n + int(digit-'0')
			}
			values = append(values, strings.Repeat("x", n))
		}
		if got := rpc.Strings(values...); !bytes.Equal(got, want) {
			t.Errorf("sizes %v: %d bytes, Perl packs %d, or they differ", sizes, len(got), len(want))
		}
	}
}

func TestBadListsAreErrors(t *testing.T) {
	for _, bad := range []string{
		"\x05abc",   // longer than what is there
		"\x81",      // a length without its end
		"\x80\x80",  // the same
		"\x01a\xff", // after a good value
		strings.Repeat("\xff", 9) + "\x7f",
		strings.Repeat("\xff", 100) + "\x01",
		"\x81\x80\x80\x80\x80\x80\x80\x80\x80\x00", // 2^63
	} {
		if values, err := rpc.Payload(bad).Strings(); err == nil {
			t.Errorf("%q is taken for %q", bad, values)
		}
	}
}

func TestNextOfAnEmptyListIsAnError(t *testing.T) {
	if _, _, err := rpc.Payload(nil).Next(); err == nil {
		t.Error("no error")
	}
}

// Leading zero groups are as good to Perl, and to us.
func TestLengthMayHaveLeadingZeroGroups(t *testing.T) {
	values, err := rpc.Payload("\x80\x80\x02hi").Strings()
	if err != nil || !slices.Equal(values, []string{"hi"}) {
		t.Errorf("%q, %v", values, err)
	}
}

func TestMaxFrameIsWithinTheLengthsRange(t *testing.T) {
	for configured, want := range map[int]uint32{0: 64 << 20, -1: 64 << 20, 1: 1, 1000: 1000} {
		if got := rpc.MaxFrame(configured); got != want {
			t.Errorf("%d becomes %d", configured, got)
		}
	}
	if got := rpc.MaxFrame(math.MaxInt); uint64(got)+8 > math.MaxInt {
		t.Errorf("the largest frame, %d bytes, and its header are no int", got)
	}
}

func FuzzStringsRoundTrip(f *testing.F) {
	f.Add("", "", 0)
	f.Add("a", strings.Repeat("b", 200), 3)
	f.Fuzz(func(t *testing.T, a, b string, n int) {
		var values []string
		for i := range min(max(n, 0), 50) {
			values = append(values, []string{a, b}[i%2])
		}
		got := rpc.AppendStrings([]byte("before"), values...)[len("before"):]
		back, err := rpc.Payload(got).Strings()
		if err != nil || !slices.Equal(back, values) {
			t.Errorf("%q became %q, %v", values, back, err)
		}
	})
}

// Any bytes are a list or an error, and a list that is encoded again is the same list.
func FuzzPayloadStrings(f *testing.F) {
	f.Add([]byte("\x03add\x011\x013"))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"))
	f.Fuzz(func(t *testing.T, data []byte) {
		values, err := rpc.Payload(data).Strings()
		if err != nil {
			return
		}
		again, err := rpc.Strings(values...).Strings()
		if err != nil || !slices.Equal(again, values) {
			t.Errorf("%q became %q, %v", values, again, err)
		}
	})
}

// decoded is all that a decoder says.
type decoded struct {
	frames  []rpc.Frame
	pending int
	err     string
}

func decode(limit uint32, pieces ...[]byte) decoded {
	frames, pending, err := rpc.Decode(limit, pieces...)
	d := decoded{frames: frames, pending: pending}
	if err != nil {
		d.err, d.pending = err.Error(), 0
	}
	var violation *rpc.ProtocolError
	if errors.As(err, &violation) && violation.Text != "" {
		d.err = violation.Text[:8] // how much more is quoted depends on the reads
	}
	return d
}

func (d decoded) equal(e decoded) bool {
	return slices.Equal(d.frames, e.frames) && d.pending == e.pending && d.err == e.err
}

// However the bytes are cut into reads, the frames are the same.
func TestDecoderDoesNotCareWhereReadsEnd(t *testing.T) {
	const limit = 20
	for _, stream := range []string{
		"",
		frame(1, ""),
		frame(1, "one") + frame(2, "") + frame(0xffffffff, "three, and longer"),
		frame(1, "cut off")[:12],
		frame(1, "good") + frame(2, strings.Repeat("x", 21)),
		frame(1, "good") + "\x00\x00\x00\x02\xff\xff\xff\xff",
	} {
		checkSplits(t, limit, []byte(stream))
	}
}

func checkSplits(t *testing.T, limit uint32, data []byte) {
	t.Helper()
	whole := decode(limit, data)
	single := make([][]byte, len(data))
	for i := range data {
		single[i] = data[i : i+1]
		if got := decode(limit, data[:i], data[i:]); !got.equal(whole) {
			t.Errorf("%q cut at %d is %v, not %v", data, i, got, whole)
		}
	}
	if got := decode(limit, single...); !got.equal(whole) {
		t.Errorf("%q byte by byte is %v, not %v", data, got, whole)
	}
	for i := range min(len(data), 60) {
		for j := i; j < min(len(data), 60); j++ {
			if got := decode(limit, data[:i], data[i:j], data[j:]); !got.equal(whole) {
				t.Errorf("%q cut at %d and %d is %v, not %v", data, i, j, got, whole)
			}
		}
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add([]byte(hello+frame(1, "\x04echo")), uint32(100))
	f.Add([]byte(frame(0, "event")+"\x00\x00\x00\x01\xff"), uint32(4))
	f.Add([]byte("some text that is no frame"), uint32(1<<20))
	f.Fuzz(func(t *testing.T, data []byte, limit uint32) {
		if len(data) > 400 {
			data = data[:400]
		}
		checkSplits(t, limit%(1<<26), data)
		frames, _, err := rpc.Decode(limit, data)
		var encoded []byte
		for _, frame := range frames {
			if uint32(len(frame.Payload)) > limit {
				t.Errorf("a frame of %d bytes passed the limit of %d", len(frame.Payload), limit)
			}
			encoded = rpc.AppendFrame(encoded, frame.Word, []byte(frame.Payload))
		}
		if !bytes.HasPrefix(data, encoded) {
			t.Errorf("the frames of %x encode to %x", data, encoded)
		}
		var violation *rpc.ProtocolError
		if err != nil && !errors.As(err, &violation) {
			t.Errorf("the error is %#v", err)
		}
	})
}

// A header that claims much, and then nothing: a hostile child costs what it sends.
func TestDecoderBelievesNoHeader(t *testing.T) {
	header := []byte("\x00\x00\x00\x01\x03\xff\xff\xff")
	if got := rpc.DecoderKeeps(64<<20, header, make([]byte, 1000)); got > 4096 {
		t.Errorf("a kilobyte of a frame of 64 MB takes %d bytes", got)
	}
}

func TestDecoderGivesALargeBufferBack(t *testing.T) {
	large := []byte(frame(1, strings.Repeat("x", 1<<20)))
	if got := rpc.DecoderKeeps(64<<20, large[:1000], large[1000:], []byte(frame(2, ""))); got > 64<<10 {
		t.Errorf("%d bytes are kept after a large frame", got)
	}
}
