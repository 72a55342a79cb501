package child

import (
	"bytes"

	"github.com/evfork/evfork/reactor"
)

// maxLine is where a line that does not end is cut for the log, so that a child
// that writes no newline cannot fill the parent's memory.
const maxLine = 64 << 10

// output drains what the child writes to stdout or stderr: to a callback, to a
// logger by lines, and into a tail that is kept for errors. A nil output is one
// that the child does not have.
type output struct {
	stream *reactor.Stream
	onData func([]byte)
	log    func(msg string, attributes ...any) // nil: there is no logger
	attrs  []any                               // of all lines
	line   []byte                              // begun, for the logger
	tail   []byte                              // the last keep bytes, and up to as many before them
	keep   int
	crash  crashNote
}

func (p *Process) newOutput(name string, fd int, onData func([]byte), keep int) (*output, error) {
	o := newTail(keep)
	o.onData = onData
	if logger := p.config.Logger; logger != nil {
		o.attrs = []any{"child", p.Name(), "pid", p.pid, "stream", name}
		o.log = logger.Info
		if name == "stderr" {
			o.log = logger.Warn
		}
	}
	s, err := p.loop.NewStream(fd, -1, reactor.StreamConfig{OnData: o.data})
	o.stream = s
	if err != nil {
		return nil, err
	}
	return o, nil
}

// newTail is an output that is only kept.
func newTail(keep int) *output {
	return &output{keep: keep, crash: crashNote{keep: min(mostOfCrash, keep/2)}}
}

// data keeps the tail first: who gets the data may panic.
func (o *output) data(data []byte) {
	if o.keep > 0 {
		o.crash.add(data)
		o.remember(data)
	}
	if o.onData != nil {
		o.onData(data)
	}
	if o.log != nil {
		o.logLines(data)
	}
}

// remember keeps the tail in a buffer twice as large, so that it moves only now
// and then.
func (o *output) remember(data []byte) {
	data = data[max(len(data)-o.keep, 0):]
	if len(o.tail)+len(data)-o.keep > o.keep { // twice keep may overflow
		kept := copy(o.tail, o.tail[len(o.tail)-o.keep:])
		o.tail = o.tail[:kept]
	}
	o.tail = append(o.tail, data...)
}

// tailBytes is the end of what was written, after the beginning of a crash that it is too short for.
func (o *output) tailBytes(crashed bool) []byte {
	if o == nil {
		return nil
	}
	tail := bytes.Clone(o.tail[max(len(o.tail)-o.keep, 0):])
	if crashed {
		tail = o.crash.before(tail)
	}
	return tail
}

func (o *output) logLines(data []byte) {
	for len(data) > 0 {
		end := bytes.IndexByte(data, '\n')
		piece, rest := data, []byte(nil)
		if end >= 0 {
			piece, rest = data[:end], data[end+1:]
		}
		if room := maxLine - len(o.line); len(piece) > room {
			piece, rest, end = data[:room], data[room:], room
		}
		o.line = append(o.line, piece...)
		if end >= 0 {
			o.logLine()
		}
		data = rest
	}
}

// logLine forgets the line first: a logger that panics is not given it again.
func (o *output) logLine() {
	line := string(bytes.TrimSuffix(o.line, []byte{'\r'}))
	o.line = o.line[:0]
	o.log(line, o.attrs...)
}

// finish takes what the pipe holds now and logs a last line without its newline.
func (o *output) finish() {
	if o == nil {
		return
	}
	if !o.stream.Closed() {
		o.stream.Drain()
	}
	if len(o.line) > 0 {
		o.logLine()
	}
}

func (o *output) close() {
	if o != nil {
		o.stream.Close()
	}
}
