//go:build race

package sock_test

const raceEnabled = true
