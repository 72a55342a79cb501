package rpc

// callAll calls fn for each element of a list, in order, having taken it off before: what fn appends is
// called as well. A panic of fn, which is the loop's matter, does not keep the others from being
// called: it goes on behind them.
func callAll[T any](list *[]T, fn func(T)) {
	defer func() {
		if len(*list) > 0 { // fn has panicked
			callAll(list, fn)
		}
	}()
	for len(*list) > 0 {
		next := (*list)[0]
		*list = (*list)[1:]
		fn(next)
	}
}
