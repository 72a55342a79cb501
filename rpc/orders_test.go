package rpc_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/reactortest"
)

// What the tests of orders have in common. Each takes the steps of several sides, a letter for each, in every order of so many steps;
// TestTortureOrders takes longer ones at random. All is on one goroutine or in a bubble, so that an order is the same every time.
// When the steps have been taken what they have left is ended, and nothing may be left behind.

// A step behind inCallback is taken by the next callback; panicStep is sensible only there.
const (
	inCallback = '^'
	panicStep  = 'P'
)

// eachOrder calls do with every order of so many steps.
func eachOrder(alphabet string, length int, do func(steps string)) {
	if length == 0 {
		do("")
		return
	}
	for i := range alphabet {
		eachOrder(alphabet, length-1, func(steps string) { do(alphabet[i:i+1] + steps) })
	}
}

// What TestTortureOrders tries.
const (
	tortureOrders = 300 // of each kind for a seed
	longestOrder  = 14  // steps
)

// randomOrder returns so many steps at most.
func randomOrder(random *rand.Rand, alphabet string, longest int) string {
	for {
		steps := make([]byte, 1+random.IntN(longest))
		for i := range steps {
			steps[i] = alphabet[random.IntN(len(alphabet))]
		}
		if isSensible(string(steps)) {
			return string(steps)
		}
	}
}

// isSensible reports whether what is to be taken by a callback is a step, and whether only callbacks panic.
func isSensible(steps string) bool {
	for i, step := range steps {
		armed := i > 0 && steps[i-1] == inCallback
		if step == panicStep && !armed || step == inCallback && armed {
			return false
		}
	}
	return !strings.HasSuffix(steps, string(inCallback))
}

// pick is one of several values.
func pick[T any](random *rand.Rand, values ...T) T { return values[random.IntN(len(values))] }

// settled is how many iterations it takes until what was sent between two ends on one loop has been answered.
const settled = 6

// errOrdered is what callbacks panic with.
var errOrdered = errors.New("a panic in order")

// survive does what may call a function that panics in order.
func survive(fn func()) {
	defer func() {
		if r := recover(); r != nil && r != any(errOrdered) {
			panic(r)
		}
	}()
	fn()
}

// newOrderedLoop is a loop that survives them, and its clock, which stands still.
func newOrderedLoop(t *testing.T) (*reactor.Loop, *reactortest.Clock) {
	t.Helper()
	clock := reactortest.NewClock()
	loop, err := reactor.New(reactor.Config{Clock: clock, OnPanic: func(p *reactor.Panic) {
		if err, ok := p.Value.(error); !ok || !errors.Is(err, errOrdered) {
			panic(p.Value)
		}
	}})
	must(t, err)
	return loop, clock
}
