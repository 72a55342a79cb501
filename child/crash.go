package child

import (
	"bytes"
	"strings"
)

// What a Go program writes to stderr when it crashes begins with the cause and the goroutine that had
// it. Behind these the stacks of all others follow if the runtime itself gave up (a fault, no memory, an
// overflow of the stack), more than a tail holds. So the beginning is kept as well.

// crashMarks begin the line that has the cause.
var crashMarks = [...]string{"panic: ", "fatal error: "}

const (
	longestMark = len("fatal error: ")
	// mostOfCrash is how much of the beginning is kept: the cause, the signal and a few frames.
	mostOfCrash = 2048
	// crashGap stands between the beginning of a crash and the end of stderr.
	crashGap = "\n…\n"
)

// crashNote keeps the beginning of the last crash report in a stream of bytes.
type crashNote struct {
	keep   int    // so many bytes of it
	line   []byte // the beginning of the line that is being read, as long as a mark at most
	inMark bool   // the line has a mark
	report []byte // the beginning of the report; empty: there is none
	size   int    // the bytes from the mark on, whether they were kept or not
}

// add takes bytes in pieces of any size.
func (c *crashNote) add(data []byte) {
	for line := range bytes.Lines(data) {
		c.addToLine(line)
	}
}

func (c *crashNote) addToLine(piece []byte) {
	ended := piece[len(piece)-1] == '\n'
	if n := min(longestMark-len(c.line), len(piece)); n > 0 && !c.inMark {
		c.line = append(c.line, piece[:n]...)
		if c.inMark = isCrashMark(c.line); c.inMark {
			c.report, c.size = append(c.report[:0], c.line...), len(c.line)
			piece = piece[n:]
		}
	}
	if len(c.report) > 0 {
		c.report = append(c.report, piece[:min(max(c.keep-len(c.report), 0), len(piece))]...)
		c.size += len(piece)
	}
	if ended {
		c.line, c.inMark = c.line[:0], false
	}
}

func isCrashMark(line []byte) bool {
	for _, mark := range crashMarks {
		if bytes.HasPrefix(line, []byte(mark)) {
			return true
		}
	}
	return false
}

// before puts the report's beginning before a tail of stderr that is too short for it, and takes as much of
// the tail away.
func (c *crashNote) before(tail []byte) []byte {
	room := len(tail) - len(c.report) - len(crashGap)
	if len(c.report) == 0 || c.size <= len(tail) || room < 0 {
		return tail
	}
	return bytes.Join([][]byte{c.report, tail[len(tail)-room:]}, []byte(crashGap))
}

// crashIn is where the last crash report in a text begins, or -1.
func crashIn(text string) int {
	last := -1
	for _, mark := range crashMarks {
		at := strings.LastIndex(text, "\n"+mark) + 1
		if at > 0 || strings.HasPrefix(text, mark) {
			last = max(last, at)
		}
	}
	if last < 0 || !strings.Contains(text[last:], "goroutine ") && !strings.Contains(text[last:], "runtime stack:") {
		return -1
	}
	return last
}
