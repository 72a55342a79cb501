package callback_test

import (
	"slices"
	"testing"

	"github.com/evfork/evfork/internal/callback"
)

// All are called once, in order, with those that are appended meanwhile, whoever panics; and the last panic goes on.
func TestAllAreCalledWhoeverPanics(t *testing.T) {
	list := []int{1, 2, 3}
	var called []int
	panicked := func() (value any) {
		defer func() { value = recover() }()
		callback.All(&list, func(i int) {
			called = append(called, i)
			if i == 1 {
				list = append(list, 4)
			}
			if i != 2 {
				panic(i)
			}
		})
		return nil
	}()
	if !slices.Equal(called, []int{1, 2, 3, 4}) || panicked != 4 || list != nil {
		t.Errorf("called %v, panic %v, list %v", called, panicked, list)
	}
}
