package reactor

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/evfork/evfork/internal/callback"
)

// A Panic is a panic of a callback, given to Config.OnPanic, and to the OnClose of
// the stream that it came from, if it came from one. If that was inside a Drain that
// a callback of another stream had called, it has left that callback, too, and that stream's OnClose gets it as well.
type Panic struct {
	Value any    // what was given to panic
	Stack []byte // of the goroutine, as debug.Stack gives it
	Kind  string // of the watcher: "fd", "timer" (of wall-clock watchers, too), "post", "signal", …
	FD    int    // of the watcher; -1 if it has none
}

// Error is like "reactor: panic in a callback of stream fd 7: index out of range".
func (p *Panic) Error() string {
	if p.FD < 0 {
		return fmt.Sprintf("reactor: panic in a callback of %s: %v", p.Kind, p.Value)
	}
	return fmt.Sprintf("reactor: panic in a callback of %s fd %d: %v", p.Kind, p.FD, p.Value)
}

// Unwrap returns the value given to panic, if it is an error.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// A SlowCallback is a callback that took at least Config.SlowThreshold.
type SlowCallback struct {
	Kind string // of the watcher: "fd", "timer" (of wall-clock watchers, too), "post", "signal", …
	FD   int    // of the watcher; -1 if it has none
	Took time.Duration
}

// described is whatever makes callbacks.
type described interface{ describe() (kind string, fd int) }

// observer watches callbacks; a loop has one only if it was asked for, so that
// others pay for one comparison a callback.
type observer struct {
	onPanic   func(*Panic)
	onSlow    func(SlowCallback)
	threshold time.Duration

	current described // whose callback is being made
	started int64     // loop clock
	slow    uint64    // callbacks above the threshold
}

func newObserver(config Config) *observer {
	if config.OnPanic == nil && config.SlowThreshold <= 0 {
		return nil
	}
	return &observer{onPanic: config.OnPanic, onSlow: config.OnSlow, threshold: config.SlowThreshold}
}

func (o *observer) begin(l *Loop, what described) {
	o.current = what
	if o.threshold > 0 {
		o.started = l.clock()
	}
}

func (o *observer) end(l *Loop) {
	what := o.current
	o.current = nil
	if o.threshold <= 0 {
		return
	}
	if took := time.Duration(l.clock() - o.started); took >= o.threshold {
		o.slow++
		if o.onSlow != nil {
			kind, fd := what.describe()
			o.onSlow(SlowCallback{Kind: kind, FD: fd, Took: took})
		}
	}
}

// blame tells the observer, if there is one, whose callback is being made from now
// on: a stream's, and not only its descriptor's.
func (l *Loop) blame(what described) {
	if l.observer != nil {
		l.observer.current = what
	}
}

// draining is a stream inside its Drain, and whose callback has called that: a panic leaves both.
type draining struct {
	*Stream
	around described
}

// nested makes the callbacks of step, which are s's, inside of another callback.
func (l *Loop) nested(s *Stream, step func(*Stream)) {
	if l.observer == nil {
		step(s)
		return
	}
	around := l.observer.current
	l.blame(draining{s, around})
	step(s)
	l.blame(around)
}

// observe makes the callbacks of step, which are what's, under the observer's eyes.
func (l *Loop) observe(what described, step func()) {
	if l.observer == nil {
		step()
		return
	}
	l.observer.begin(l, what)
	step()
	l.observer.end(l)
}

// guarded makes the callbacks of a step. A step that panics is entered again and
// goes on behind the callback that did, if Config.OnPanic is there to be told;
// otherwise the panic leaves Run.
func (l *Loop) guarded(step func(*Loop)) {
	if l.observer == nil || l.observer.onPanic == nil {
		step(l)
		return
	}
	for !l.survives(step) {
	}
}

func (l *Loop) survives(step func(*Loop)) (returned bool) {
	defer func() {
		if returned {
			return
		}
		// nil: runtime.Goexit, which cannot be stopped.
		if value := recover(); value != nil {
			l.observer.panicked(value)
		}
	}()
	step(l)
	return true
}

// panicked fails the streams whose callbacks the panic has left, and tells: of each if several callbacks of one step have.
func (o *observer) panicked(value any) {
	panics, several := value.(callback.Panics)
	if !several {
		panics = callback.Panics{{Value: value, Stack: debug.Stack()}}
	}
	kind, fd := "loop", -1
	what := o.current
	o.current = nil
	if what != nil {
		kind, fd = what.describe()
	}
	for _, each := range panics {
		p := &Panic{Value: each.Value, Stack: each.Stack, Kind: kind, FD: fd}
		failLeft(what, p)
		o.onPanic(p)
	}
}

// failLeft fails those that were amid their reading, or would never read on.
func failLeft(what described, err error) {
	d, nested := what.(draining)
	for ; nested; d, nested = what.(draining) {
		d.fail(err)
		what = d.around
	}
	if s, ok := what.(*Stream); ok {
		s.fail(err)
	}
}

// posted stands for the functions given to Post.
type posted struct{}

func (posted) describe() (string, int) { return "post", -1 }
