// Command netrpc is the smallest worker one can write with net/rpc over pipes.
// It is built on its own so that its memory can be measured.
package main

import (
	"fmt"
	"os"

	"github.com/evfork/evfork/bench/internal/gobecho"
)

func main() {
	if err := gobecho.Serve(); err != nil {
		fmt.Fprintln(os.Stderr, "netrpc:", err)
		os.Exit(1)
	}
}
