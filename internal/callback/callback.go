// Package callback calls functions of users, where one that panics must not keep others from being called, nor their
// panics from being heard of. It is the same with one that calls runtime.Goexit.
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
		// What is recovered goes on from in here: so the frames of its origin are still on the stack.
		goOn(step, caught(recover()))
	}()
	step()
	returned = true
}

// goOn calls step until it returns, and panics with what there is to panic with. That a callback which calls
// runtime.Goexit comes between, which would have made the runtime forget a panic that was not recovered, changes nothing.
func goOn(step func(), all Panics) {
	through := false
	defer func() {
		switch {
		case !through: // runtime.Goexit cannot be stopped, also not by recovering a panic amid it, and nobody else would go on
			goOn(step, all)
		case len(all) > 0:
			panic(all.asOne())
		}
	}()
	for !tried(step, &all) {
	}
	through = true
}

// tried calls step once, and adds what it panics with.
func tried(step func(), all *Panics) (returned bool) {
	defer func() {
		if !returned {
			*all = append(*all, caught(recover())...)
		}
	}()
	step()
	return true
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

// caught makes Panics of what recover has returned here. There are none if that is nil, which means runtime.Goexit.
func caught(value any) Panics {
	switch value := value.(type) {
	case nil:
		return nil
	case Panics:
		return value
	}
	return Panics{{value, debug.Stack()}}
}
