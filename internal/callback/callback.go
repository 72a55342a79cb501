// Package callback calls functions of users, where one that panics must not keep others from being called.
package callback

// ToTheEnd calls step, which makes callbacks. If one panics, step is called again, for those that it has not come
// to, and the panic goes on behind it. So step must have noted that a callback is made before it makes it.
func ToTheEnd(step func()) {
	returned := false
	defer func() {
		if !returned {
			ToTheEnd(step)
		}
	}()
	step()
	returned = true
}

// All calls fn for each element of a list, in order, having taken it off before: what fn appends is
// called as well. A panic of fn does not keep the others from being called: it goes on behind them. The list is
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
