// Package callback calls functions of users, where one that panics must not keep others from being called, nor their
// panics from being heard of; only those before a runtime.Goexit in the same list are not.
package callback

import (
	"fmt"
	"runtime/debug"
	"strings"
)

// ToTheEnd calls step, which makes callbacks. If one panics, step is called again, for those that it has not come
// to, and the panic goes on behind it; if several do, Panics does. So step must have noted that a callback is made
// before it makes it.
func ToTheEnd(step func()) {
	returned := false
	defer func() {
		if returned {
			return
		}
		later := panicsOf(step)
		if len(later) == 0 {
			return // the panic goes on as it is
		}
		all := later
		if value := recover(); value != nil { // nil: runtime.Goexit, which goes on behind what follows
			all = append(caught(value), later...)
		}
		panic(all.asOne())
	}()
	step()
	returned = true
}

// panicsOf calls step until it returns.
func panicsOf(step func()) (all Panics) {
	for {
		panics, returned := tried(step)
		if returned {
			return all
		}
		all = append(all, panics...)
	}
}

// tried calls step once.
func tried(step func()) (panics Panics, returned bool) {
	defer func() {
		if returned {
			return
		}
		if value := recover(); value != nil {
			panics = caught(value)
			return
		}
		ToTheEnd(step) // runtime.Goexit cannot be stopped, and nobody else would go on
	}()
	step()
	return nil, true
}

// All calls fn for each element of a list, in order, having taken it off before: what fn appends is
// called as well. A panic of fn does not keep the others from being called: see ToTheEnd. The list is
// nil afterwards.
func All[T any](list *[]T, fn func(T)) {
	ToTheEnd(func() {
		for len(*list) > 0 {
			next := (*list)[0]
			*list = (*list)[1:]
			fn(next)
		}
		*list = nil
	})
}

// InTurn calls the steps one after the other, whichever of them panic: see ToTheEnd.
func InTurn(steps ...func()) {
	All(&steps, func(step func()) { step() })
}

// A Panic is what a callback has panicked with, and where.
type Panic struct {
	Value any
	Stack []byte // of the goroutine, as debug.Stack gives it
}

// Panics are those of several callbacks, in their order, and the value of the panic that goes on in their place.
type Panics []Panic

// Error tells all of them, with their stacks, which the panic that goes on does not have.
func (p Panics) Error() string {
	var text strings.Builder
	text.WriteString("several callbacks have panicked")
	for _, each := range p {
		fmt.Fprintf(&text, "\n\npanic: %v\n\n%s", each.Value, each.Stack)
	}
	return text.String()
}

// asOne is the value to panic with.
func (p Panics) asOne() any {
	if len(p) == 1 {
		return p[0].Value
	}
	return p
}

// caught makes Panics of the value of a panic that was recovered here.
func caught(value any) Panics {
	if several, ok := value.(Panics); ok {
		return several
	}
	return Panics{{value, debug.Stack()}}
}
