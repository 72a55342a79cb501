//go:build race

package rpc_test

// raceDetector allocates on its own account.
const raceDetector = true
