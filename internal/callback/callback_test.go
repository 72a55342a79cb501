package callback_test

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/evfork/evfork/internal/callback"
)

// panicOf is what fn panics with.
func panicOf(fn func()) (value any) {
	defer func() { value = recover() }()
	fn()
	return nil
}

// values are what several callbacks have panicked with, each of which is in the text, with a stack.
func values(t *testing.T, value any) (all []any) {
	t.Helper()
	panics, ok := value.(callback.Panics)
	if !ok {
		t.Fatalf("panic %v, and not several", value)
	}
	for _, p := range panics {
		all = append(all, p.Value)
		if text := fmt.Sprintf("panic: %v\n", p.Value); !strings.Contains(panics.Error(), text) || !bytes.Contains(p.Stack, []byte("callback_test")) {
			t.Errorf("no %q in %v, or its stack is another's", text, panics)
		}
	}
	return all
}

// All are called once, in order, with those that are appended meanwhile, whoever panics; and the panics go on.
func TestAllAreCalledWhoeverPanics(t *testing.T) {
	list := []int{1, 2, 3}
	var called []int
	panicked := panicOf(func() {
		callback.All(&list, func(i int) {
			called = append(called, i)
			if i == 1 {
				list = append(list, 4)
			}
			if i != 2 {
				panic(i)
			}
		})
	})
	if !slices.Equal(called, []int{1, 2, 3, 4}) || list != nil {
		t.Errorf("called %v, list %v", called, list)
	}
	if got := values(t, panicked); !slices.Equal(got, []any{1, 3, 4}) {
		t.Errorf("the panics of %v go on", got)
	}
}

// One panic goes on as it is, whichever of several callbacks made it.
func TestOnePanicGoesOnAsItIs(t *testing.T) {
	for panicking := range 3 {
		list := []int{0, 1, 2}
		panicked := panicOf(func() {
			callback.All(&list, func(i int) {
				if i == panicking {
					panic(i)
				}
			})
		})
		if panicked != panicking || list != nil {
			t.Errorf("panic %v, list %v", panicked, list)
		}
	}
}

// Panics of steps within steps go on together, in their order.
func TestStepsAreMadeInTurnWhicheverPanic(t *testing.T) {
	var made []int
	step := func(i int) func() {
		return func() {
			made = append(made, i)
			panic(i)
		}
	}
	panicked := panicOf(func() {
		callback.InTurn(
			func() { callback.InTurn(step(1), step(2)) },
			func() { made = append(made, 3) },
			func() { callback.InTurn(step(4)) },
			func() { callback.InTurn(step(5), step(6)) },
		)
	})
	if !slices.Equal(made, []int{1, 2, 3, 4, 5, 6}) {
		t.Errorf("made were %v", made)
	}
	if got := values(t, panicked); !slices.Equal(got, []any{1, 2, 4, 5, 6}) {
		t.Errorf("the panics of %v go on", got)
	}
}

// runtime.Goexit in a callback ends the goroutine after the others were called, and after it no panic of theirs
// is lost.
func TestGoexitDoesNotKeepOthersFromTheirCalls(t *testing.T) {
	for exiting := range 3 {
		for panicking := range 3 {
			var called []int
			var panicked any
			var ended sync.WaitGroup
			ended.Go(func() {
				defer func() { panicked = recover() }()
				list := []int{0, 1, 2}
				callback.All(&list, func(i int) {
					called = append(called, i)
					switch i {
					case exiting:
						runtime.Goexit()
					case panicking:
						panic(i)
					}
				})
				t.Error("the goroutine went on")
			})
			ended.Wait()
			if !slices.Equal(called, []int{0, 1, 2}) {
				t.Errorf("Goexit in %d, panic in %d: called %v", exiting, panicking, called)
			}
			if panicking > exiting && panicked != panicking {
				t.Errorf("Goexit in %d, panic in %d: the panic of %v goes on", exiting, panicking, panicked)
			}
		}
	}
}
