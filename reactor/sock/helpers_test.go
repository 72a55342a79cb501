package sock_test

// helpers are what the test binary does as a child, by name.
var helpers = map[string]func() error{
	"limit":  helperLimit,
	"shed":   helperShed,
	"lowfds": helperLowFDs,
}
