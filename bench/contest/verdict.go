package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// A Kind is what class of thing a contestant did. The order is that of
// severity: the table shows the worst first.
type Kind int

const (
	fine  Kind = iota
	unfit      // it cannot do that, and says so: Contestant.Remarks
	keeps      // memory or descriptors that it no longer needs, or without a bound
	spins
	leaks // descriptors, goroutines, callbacks
	resets
	loses
	repeats
	corrupts
	miscounts // closes: none, or more than one
	hangs
	exits
	failed // the driver, not the contestant
)

// A Verdict is what one run of a scenario saw.
type Verdict struct {
	Kind   Kind   `json:"kind"`
	Text   string `json:"text"`
	Weight int64  `json:"weight,omitempty"` // among verdicts of one kind the heaviest is shown
}

func good(format string, args ...any) Verdict {
	v := Verdict{Text: "ok"}
	if text := fmt.Sprintf(format, args...); text != "" {
		v.Text += ": " + text
	}
	return v
}

func bad(kind Kind, format string, args ...any) Verdict {
	return Verdict{Kind: kind, Text: fmt.Sprintf(format, args...)}
}

// worse returns the more severe of two.
func (v Verdict) worse(w Verdict) Verdict {
	if w.Kind > v.Kind || w.Kind == v.Kind && w.Weight > v.Weight {
		return w
	}
	return v
}

// badIO is the verdict about an error on the client's side of a connection.
func badIO(doing string, err error) Verdict {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return bad(resets, "resets: %s", doing)
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, os.ErrDeadlineExceeded):
		return bad(hangs, "hangs: %s", doing)
	case errors.Is(err, io.EOF):
		return bad(loses, "closed: %s", doing)
	}
	return bad(failed, "%s: %v", doing, err)
}

// A Cell is the table's: what all runs of one scenario by one contestant saw.
type Cell struct {
	Scenario   string    `json:"scenario"`
	Contestant string    `json:"contestant"`
	Runs       []Verdict `json:"runs,omitempty"`
}

// worst is the most severe verdict of all runs.
func (c Cell) worst() Verdict {
	var worst Verdict
	for i, v := range c.Runs {
		if i == 0 {
			worst = v
		}
		worst = worst.worse(v)
	}
	return worst
}

// String shows each kind of verdict once, the worst first, with how many of the
// runs it took: "lost 131,072 of 8,388,608 bytes (3 of 5)".
func (c Cell) String() string {
	if len(c.Runs) == 0 {
		return "not run"
	}
	counts := map[Kind]int{}
	shown := map[Kind]Verdict{}
	for _, v := range c.Runs {
		counts[v.Kind]++
		if w, seen := shown[v.Kind]; !seen || v.Weight > w.Weight {
			shown[v.Kind] = v
		}
	}
	var kinds []Kind
	for kind := range counts {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	slices.Reverse(kinds)
	var parts []string
	for _, kind := range kinds {
		text := shown[kind].Text
		if kind != fine || len(kinds) > 1 {
			text += fmt.Sprintf(" (%d of %d)", counts[kind], len(c.Runs))
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}

// group writes a number with thousands separators.
func group(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
