package main

import (
	"math/rand/v2"
	"testing"
)

const testSeed = 7

func TestWordAndNumberAreInverse(t *testing.T) {
	p := pattern{testSeed}
	for _, k := range []uint64{0, 1, 2, 1 << 20, 1<<64 - 1} {
		if got := p.number(p.word(k)); got != k {
			t.Errorf("number(word(%d)) = %d", k, got)
		}
	}
}

func TestFillIsTheSameAtAnySplit(t *testing.T) {
	p := pattern{testSeed}
	whole := p.bytes(100)
	for split := range whole {
		cut := make([]byte, len(whole))
		p.fill(cut[:split], 0)
		p.fill(cut[split:], int64(split))
		if string(cut) != string(whole) {
			t.Errorf("filled in two parts at %d: another stream", split)
		}
	}
}

// A tampering is what a bad server does to a stream of 10,000 bytes.
type tampering struct {
	name  string
	apply func([]byte) []byte
	want  Kind
	text  string
}

const streamSize = 10_000

func tamperings() []tampering {
	return []tampering{
		{"nothing", func(b []byte) []byte { return b }, fine, "ok"},
		{"a lost tail", func(b []byte) []byte { return b[:9_000] }, loses, "lost 1,000 of 10,000 bytes"},
		{"a lost byte at the end", func(b []byte) []byte { return b[:9_999] }, loses, "lost 1 of 10,000 bytes"},
		{"a lost middle", func(b []byte) []byte { return cut(b, 4_000, 5_001) }, loses, "lost 1,001 of 10,000 bytes"},
		{"a lost byte", func(b []byte) []byte { return cut(b, 4_000, 4_001) }, loses, "lost 1 of 10,000 bytes"},
		{"a lost byte near the end", func(b []byte) []byte { return cut(b, 9_985, 9_986) }, loses, "lost 1 of 10,000 bytes"},
		{"a lost beginning", func(b []byte) []byte { return b[4_096:] }, loses, "lost 4,096 of 10,000 bytes"},
		{"two holes", func(b []byte) []byte { return cut(cut(b, 6_000, 6_100), 2_000, 2_011) }, loses, "lost 111 of 10,000 bytes"},
		{"everything lost", func(b []byte) []byte { return nil }, loses, "lost 10,000 of 10,000 bytes"},
		{"a repetition", func(b []byte) []byte { return insert(b, 5_000, b[3_000:5_000]) }, repeats, "repeated 2,000 bytes beyond 10,000"},
		{"a repeated tail", func(b []byte) []byte { return insert(b, 10_000, b[9_000:]) }, repeats, "repeated 1,000 bytes beyond 10,000"},
		{"a flipped bit", func(b []byte) []byte { b[5_000] ^= 1; return b }, corrupts, ""},
		{"somebody else's bytes", func(b []byte) []byte { return insert(b, 5_000, pattern{99}.bytes(500)) }, corrupts, ""},
	}
}

// Garbage must neither stop the verifier nor be taken for loss.
func TestVerifierSurvivesGarbage(t *testing.T) {
	random := rand.New(rand.NewPCG(testSeed, 0))
	for range 200 {
		stream := pattern{testSeed}.bytes(streamSize)
		for range 1 + random.IntN(5) {
			at := random.IntN(len(stream) - 50)
			for i := range 1 + random.IntN(40) {
				stream[at+i] ^= byte(1 + random.IntN(255))
			}
		}
		v := newVerifier(pattern{testSeed})
		v.take(stream)
		if got := v.verdict(streamSize); got.Kind != corrupts {
			t.Fatalf("verdict %+v", got)
		}
	}
}

func cut(b []byte, from, to int) []byte { return append(append([]byte(nil), b[:from]...), b[to:]...) }

func insert(b []byte, at int, what []byte) []byte {
	return append(append(append([]byte(nil), b[:at]...), what...), b[at:]...)
}

func TestVerifierNamesWhatWasDone(t *testing.T) {
	for _, tamper := range tamperings() {
		v := newVerifier(pattern{testSeed})
		v.take(tamper.apply(pattern{testSeed}.bytes(streamSize)))
		got := v.verdict(streamSize)
		if got.Kind != tamper.want || tamper.text != "" && got.Text != tamper.text {
			t.Errorf("%s: %+v, want kind %d %q", tamper.name, got, tamper.want, tamper.text)
		}
	}
}

// How the bytes arrive must not matter.
func TestVerifierIsIndifferentToPieces(t *testing.T) {
	random := rand.New(rand.NewPCG(testSeed, 0))
	for _, tamper := range tamperings() {
		stream := tamper.apply(pattern{testSeed}.bytes(streamSize))
		whole, pieces := newVerifier(pattern{testSeed}), newVerifier(pattern{testSeed})
		whole.take(stream)
		for rest := stream; len(rest) > 0; {
			n := 1 + random.IntN(min(len(rest), 50))
			pieces.take(rest[:n])
			rest = rest[n:]
		}
		if w, p := whole.verdict(streamSize), pieces.verdict(streamSize); w != p {
			t.Errorf("%s: %+v at once, %+v in pieces", tamper.name, w, p)
		}
		if pieces.received != int64(len(stream)) {
			t.Errorf("%s: received = %d, want %d", tamper.name, pieces.received, len(stream))
		}
	}
}
