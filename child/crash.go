package child

import (
	"bytes"
	"slices"
	"strings"
)

// What a Go program writes to stderr when it crashes begins with the cause and the goroutine that had
// it. Behind these the stacks of all others follow if the runtime itself gave up (a fault, no memory, an
// overflow of the stack), more than a tail holds. So the beginning is kept as well.
//
// A report is a line that begins with a mark, others that belong to it, an empty one, and the first
// line of a stack. A program may print a line that begins like the first. All of them it prints only
// if it means to.

// crashMarks begin the line that has the cause. That of a signal begins with its name.
var crashMarks = []string{"panic: ", "fatal error: ", "SIG"}

// causeLines begin the others until the empty one: more lines of a text and panics while panicking,
// and what is to be said of a signal.
var causeLines = []string{"\t", "[signal ", "PC=", "signal arrived ", "instruction bytes: "}

const (
	goroutineLine = "goroutine " // its number and state follow
	runtimeLine   = "runtime stack:"
	// threadLine and an empty line stand between the report of a signal and, with GOTRACEBACK=crash, those of the
	// SIGQUITs by which the runtime then has each other thread tell of itself.
	threadLine = "-----\n"

	// longestStart is how much of a line tells what it is.
	longestStart = len("instruction bytes: ")
	// mostOfCrash is how much of the beginning is kept: the cause, the signal and a few frames.
	mostOfCrash = 2048
	// crashGap stands between the beginning of a crash and the end of stderr.
	crashGap = "\n…\n"
)

// crashNote keeps the beginning of the last crash report in a stream of bytes.
type crashNote struct {
	stage crashStage
	line  []byte // the beginning of the line that is being read, as long as longestStart at most
	end   []byte // its last two bytes
	rule  int    // how much of what stands before another thread's report has just been read: a line, or both
	begun report // what may be one
	found report
	keep  int // so many bytes of each
}

// crashStage is how much of a report there is of what has begun.
type crashStage uint8

const (
	noCrash    crashStage = iota
	inCause               // the line with the mark, at least
	afterCause            // and the empty one behind it
)

// report is the beginning of a crash report, and all that is behind it.
type report struct {
	text []byte // as much as is kept
	size int    // from the mark on; 0: there is none
}

// add takes bytes of a report that keeps so many of them.
func (r *report) add(data []byte, keep int) {
	r.text = append(r.text, data[:min(max(keep-len(r.text), 0), len(data))]...)
	r.size += len(data)
}

// add takes bytes in pieces of any size.
func (c *crashNote) add(data []byte) {
	for line := range bytes.Lines(data) {
		c.addToLine(line)
	}
}

func (c *crashNote) addToLine(piece []byte) {
	if c.found.size > 0 {
		c.found.add(piece, c.keep)
	}
	was := startsWithOne(c.line, crashMarks)
	n := max(min(longestStart-len(c.line), len(piece)), 0)
	c.line = append(c.line, piece[:n]...)
	switch {
	case !was && startsWithOne(c.line, crashMarks) && !c.ofAnotherThread():
		c.stage, c.begun = inCause, report{text: c.begun.text[:0]}
		c.begun.add(c.line, c.keep)
		c.begun.add(piece[n:], c.keep)
	case c.stage != noCrash:
		c.begun.add(piece, c.keep)
	}
	text, ended := bytes.CutSuffix(piece, []byte{'\n'})
	if c.end = append(c.end, text[max(len(text)-2, 0):]...); len(c.end) > 2 {
		c.end = append(c.end[:0], c.end[len(c.end)-2:]...)
	}
	if ended {
		c.endLine()
	}
}

// endLine looks at a line that is complete.
func (c *crashNote) endLine() {
	empty := c.line[0] == '\n'
	switch {
	case string(c.line) == threadLine:
		c.rule = 1
	case empty && c.rule == 1:
		c.rule = 2
	default:
		c.rule = 0
	}
	switch {
	case c.stage == inCause && empty:
		c.stage = afterCause
	case c.stage == inCause && (startsWithOne(c.line, crashMarks) || startsWithOne(c.line, causeLines)):
	case c.stage == afterCause && c.beginsStack():
		c.found, c.begun = c.begun, c.found
		c.stage = noCrash
	default:
		c.stage = noCrash
	}
	c.line, c.end = c.line[:0], c.end[:0]
}

// ofAnotherThread reports whether the report that begins belongs to the one before, which has the cause.
func (c *crashNote) ofAnotherThread() bool {
	return c.rule == 2 && c.found.size > 0 && bytes.HasPrefix(c.line, []byte("SIG"))
}

// beginsStack reports whether the line is the first of a stack.
func (c *crashNote) beginsStack() bool {
	if bytes.HasPrefix(c.line, []byte(runtimeLine)) {
		return true
	}
	number, ok := bytes.CutPrefix(c.line, []byte(goroutineLine))
	return ok && number[0] >= '0' && number[0] <= '9' && string(c.end) == "]:"
}

func startsWithOne(line []byte, starts []string) bool {
	return slices.ContainsFunc(starts, func(start string) bool { return strings.HasPrefix(string(line), start) })
}

// before puts the report's beginning before a tail of stderr that is too short for it, and takes as much of
// the tail away.
func (c *crashNote) before(tail []byte) []byte {
	room := len(tail) - len(c.found.text) - len(crashGap)
	if c.found.size <= len(tail) || room < 0 {
		return tail
	}
	return bytes.Join([][]byte{c.found.text, tail[len(tail)-room:]}, []byte(crashGap))
}

// crashIn is where the last crash report in the end of stderr begins, or -1.
func crashIn(stderr string) int {
	if startsWithOne([]byte(stderr), crashMarks) && strings.Contains(stderr, crashGap) {
		return 0 // before has put it there, and it may be cut before its first stack
	}
	var c crashNote
	c.add([]byte(stderr))
	if c.found.size == 0 {
		return -1
	}
	return len(stderr) - c.found.size
}
