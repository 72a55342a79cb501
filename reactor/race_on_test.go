//go:build race

package reactor_test

// raceEnabled: the race detector runs, which makes everything several times
// slower, allocates by itself and empties pools at random.
const raceEnabled = true
