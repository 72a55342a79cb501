package child_test

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
)

// greeter is a worker: it writes one line to its parent.
func greeter(w *child.Worker) error {
	_, out := w.FDs()
	_, err := fmt.Fprintf(os.NewFile(uintptr(out), "parent"), "hello, %s\n", strings.Join(os.Args[1:], " "))
	return err
}

// A worker is a function of the same program, which begins with
//
//	child.Main(child.Workers{"greeter": greeter})
func ExampleStart_worker() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer loop.Close()
	proc, err := child.Start(loop, child.Config{Worker: "greeter", Args: []string{"parent"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	proc.Open(reactor.StreamConfig{OnData: func(data []byte) { fmt.Printf("it says: %s", data) }})
	proc.OnExit(func(state child.ExitState) { fmt.Println("it", state) })
	loop.Run(context.Background())
	// Output:
	// it says: hello, parent
	// it exited with code 0
}

// Any program can be a child. What it writes to stderr is kept for the error.
func ExampleStart_program() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer loop.Close()
	proc, err := child.Start(loop, child.Config{
		Path:      "sh",
		Args:      []string{"-c", "tr a-z A-Z; echo out of paper >&2; exit 3"},
		Transport: child.Stdio,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	stream, err := proc.Open(reactor.StreamConfig{OnData: func(data []byte) { fmt.Printf("%s", data) }})
	if err != nil {
		fmt.Println(err)
		return
	}
	stream.Write([]byte("hello\n"))
	stream.CloseWrite()
	proc.OnEnd(func(cause error) {
		exit := cause.(*child.ExitError)
		fmt.Printf("code %d, stderr %q\n", exit.State.Code, exit.State.Stderr)
	})
	loop.Run(context.Background())
	// Output:
	// HELLO
	// code 3, stderr "out of paper\n"
}
