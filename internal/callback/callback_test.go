package callback_test

import (
	"bytes"
	"fmt"
	"runtime"
	"runtime/debug"
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

// What is behind a panic that goes on, a debugger or the runtime's report, sees where it came from.
func TestOnePanicGoesOnWithItsFrames(t *testing.T) {
	var stack []byte
	func() {
		defer func() {
			stack = debug.Stack()
			recover()
		}()
		callback.InTurn(origin, func() {})
	}()
	if !bytes.Contains(stack, []byte("callback_test.origin(")) {
		t.Errorf("the stack of the panic is another's: %s", stack)
	}
}

//go:noinline
func origin() { panic("here") }

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

// runtime.Goexit in a callback ends the goroutine after the others were called, and no panic of theirs is lost, be it
// before the Goexit or after it.
func TestGoexitDoesNotKeepOthersFromTheirCalls(t *testing.T) {
	for exiting := range 3 {
		for panicking := range 3 {
			called, panicked := endGoroutine(t, 3, func(i int) {
				switch i {
				case exiting:
					runtime.Goexit()
				case panicking:
					panic(i)
				}
			})
			if !slices.Equal(called, []int{0, 1, 2}) {
				t.Errorf("Goexit in %d, panic in %d: called %v", exiting, panicking, called)
			}
			if panicking != exiting && panicked != panicking {
				t.Errorf("Goexit in %d, panic in %d: the panic of %v goes on", exiting, panicking, panicked)
			}
		}
	}
}

func TestPanicsOnBothSidesOfGoexitGoOnTogether(t *testing.T) {
	called, panicked := endGoroutine(t, 6, func(i int) {
		if i == 2 || i == 4 {
			runtime.Goexit()
		}
		panic(i)
	})
	if !slices.Equal(called, []int{0, 1, 2, 3, 4, 5}) {
		t.Errorf("called %v", called)
	}
	if got := values(t, panicked); !slices.Equal(got, []any{0, 1, 3, 5}) {
		t.Errorf("the panics of %v go on", got)
	}
}

// A panic amid a Goexit, of a function that the callback has deferred, is heard of; that it is recovered does not stop the
// Goexit, and the others were not called.
func TestPanicAmidGoexitDoesNotKeepOthersFromTheirCalls(t *testing.T) {
	for exiting := range 3 {
		called, panicked := endGoroutine(t, 5, func(i int) {
			switch i {
			case exiting, 3:
				defer panic(i)
				runtime.Goexit()
			}
		})
		if !slices.Equal(called, []int{0, 1, 2, 3, 4}) {
			t.Errorf("Goexit in %d: called %v", exiting, called)
		}
		if got := values(t, panicked); !slices.Equal(got, []any{exiting, 3}) {
			t.Errorf("Goexit in %d: the panics of %v go on", exiting, got)
		}
	}
}

// endGoroutine calls fn for n elements on a goroutine of its own, which has to end by it.
func endGoroutine(t *testing.T, n int, fn func(int)) (called []int, panicked any) {
	t.Helper()
	var list []int
	for i := range n {
		list = append(list, i)
	}
	var ended sync.WaitGroup
	ended.Go(func() {
		defer func() { panicked = recover() }()
		callback.All(&list, func(i int) {
			called = append(called, i)
			fn(i)
		})
		t.Error("the goroutine went on")
	})
	ended.Wait()
	return called, panicked
}
