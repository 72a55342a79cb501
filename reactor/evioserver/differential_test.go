//go:build linux || darwin || (freebsd && !386 && !arm)

package evioserver_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/evio"

	"github.com/evfork/evfork/internal/leaktest"
	"github.com/evfork/evfork/reactor/evioserver"
)

// The same handlers are run by evio and by this package, each in a process of its own (evio leaves
// goroutines, and closes a descriptor twice), and the same client is served by both: they tell the same.

const subjectVariable = "EVFORK_EVIO_SUBJECT" // who serves, and an address

// runSubject serves in a child of the test: what the handlers see goes to its output.
func runSubject(subject string) {
	who, address, _ := strings.Cut(subject, " ")
	serve := evioserver.Serve
	if who == "evio" {
		serve = evio.Serve
	}
	if err := serve(recorded(), address); err != nil {
		fmt.Println("error", err)
	}
	fmt.Println("served")
}

// recorded returns handlers that obey the first word of a line, and tell of what they see.
func recorded() evio.Events {
	ticks := 0
	return evio.Events{
		Serving: func(s evio.Server) evio.Action {
			fmt.Println("serving at", s.Addrs[0])
			return evio.None
		},
		Tick: func() (time.Duration, evio.Action) {
			if ticks++; ticks <= 2 {
				fmt.Println("tick")
			}
			return time.Millisecond, evio.None
		},
		Opened: func(c evio.Conn) ([]byte, evio.Options, evio.Action) {
			fmt.Printf("opened %d %v\n", c.AddrIndex(), c.Context())
			c.SetContext("context")
			return []byte("welcome\n"), evio.Options{TCPKeepAlive: time.Minute, ReuseInputBuffer: true}, evio.None
		},
		Data: obey,
		Closed: func(c evio.Conn, err error) evio.Action {
			fmt.Printf("closed %v %#v\n", c.Context(), err)
			return evio.None
		},
		Detached: func(c evio.Conn, rwc io.ReadWriteCloser) evio.Action {
			fmt.Printf("detached %v\n", c.Context())
			_, err := io.WriteString(rwc, "detached\n")
			fmt.Println(err, rwc.Close())
			return evio.None
		},
	}
}

func obey(c evio.Conn, in []byte) ([]byte, evio.Action) {
	fmt.Printf("data %v %q %v\n", c.Context(), in, in == nil)
	switch strings.TrimSpace(string(in)) {
	case "":
		return []byte("woken\n"), evio.None
	case "wake":
		c.Wake()
		return nil, evio.None
	case "large":
		return bytes.Repeat([]byte("large\n"), 200_000), evio.None
	case "close":
		return []byte("closing\n"), evio.Close
	case "detach":
		return []byte("detaching\n"), evio.Detach
	case "shutdown":
		return []byte("bye\n"), evio.Shutdown
	}
	return in, evio.None
}

// A dialog is what a client sends, line by line, and how many lines it reads after each.
type dialog []struct {
	line  string
	reads int
}

var dialogs = []dialog{
	{{"echo\n", 1}, {"wake\n", 1}, {"large\n", 200_000}, {"echo\n", 1}, {"close\n", 1}},
	{{"detach\n", 2}},
	{{"echo\n", 1}, {"END", 0}},
	{{"RESET", 0}},
	{{"shutdown\n", 1}},
}

func TestSameAsEvio(t *testing.T) {
	for _, network := range []string{"tcp4", "unix"} {
		t.Run(network, func(t *testing.T) {
			want, got := transcript(t, "evio", network), transcript(t, "evioserver", network)
			if got != want {
				t.Errorf("evio:\n%s\nhere:\n%s", want, got)
			}
			if strings.Count(want, "\n") < 30 {
				t.Errorf("hardly anything was told:\n%s", want)
			}
		})
	}
}

// transcript is what the handlers and the client have seen.
func transcript(t *testing.T, who, network string) string {
	t.Helper()
	leaktest.Check(t)
	address := network + "://127.0.0.1:0"
	if strings.HasPrefix(network, "unix") {
		address = network + "://" + socketPath(t)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), subjectVariable+"="+who+" "+address)
	cmd.Stderr = os.Stderr
	output, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	ending := time.AfterFunc(guard, func() { _ = cmd.Process.Kill() })
	defer ending.Stop()
	server := bufio.NewReader(output)
	at, err := server.ReadString('\n')
	must(t, err)
	at = strings.TrimSpace(strings.TrimPrefix(at, "serving at "))
	// The ticks come before anything else if nobody connects before them.
	var told strings.Builder
	for range 2 {
		line, err := server.ReadString('\n')
		must(t, err)
		told.WriteString(line)
	}

	for _, d := range dialogs {
		talk(t, &told, network, at, d)
		awaitEnd(t, &told, server)
	}
	rest, err := io.ReadAll(server)
	must(t, err)
	told.Write(rest)
	must(t, cmd.Wait())
	return told.String()
}

// awaitEnd copies what the server tells, up to the end of the connection.
func awaitEnd(t *testing.T, told *strings.Builder, server *bufio.Reader) {
	t.Helper()
	for {
		line, err := server.ReadString('\n')
		must(t, err)
		told.WriteString(line)
		if strings.HasPrefix(line, "closed") || strings.HasPrefix(line, "<nil>") {
			return
		}
	}
}

// talk has one dialog, and notes what the client reads, and how it ends.
func talk(t *testing.T, told *strings.Builder, network, address string, d dialog) {
	t.Helper()
	c, err := net.DialTimeout(network, address, guard)
	must(t, err)
	defer c.Close()
	must(t, c.SetDeadline(time.Now().Add(guard)))
	lines := bufio.NewReader(c)
	read := func(n int) {
		last, count := "", 0
		for range n {
			line, err := lines.ReadString('\n')
			must(t, err)
			if last = line; line != "" {
				count++
			}
		}
		fmt.Fprintf(told, "client reads %d lines, %q\n", count, last)
	}
	read(1)
	for _, step := range d {
		switch step.line {
		case "END":
			closeWrite(t, c)
		case "RESET":
			if tcp, ok := c.(*net.TCPConn); ok {
				must(t, tcp.SetLinger(0))
			}
			return
		default:
			send(t, c, step.line)
			read(step.reads)
		}
	}
	rest, err := io.ReadAll(lines)
	fmt.Fprintf(told, "client ends with %q, %v\n", rest, err)
}
