package sock_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/sock"
)

func TestDescriptors0To2AreConnectionsLikeOthers(t *testing.T) { runHelper(t, "lowfds") }

// helperLowFDs closes its standard descriptors, so that the connections get
// their numbers, and echoes over them.
func helperLowFDs() error {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return err
	}
	used := map[int]bool{}
	var failed error
	l, err := sock.Listen(loop, "tcp", "127.0.0.1:0", sock.ListenConfig{}, func(c *sock.Conn) {
		used[c.FD()] = true
		if _, err := echoStream(c); err != nil {
			failed = err
		}
	})
	if err != nil {
		return err
	}
	for fd := range 3 {
		unix.Close(fd)
	}
	ended := 0
	for i := range 2 {
		var got []byte
		want := fmt.Sprint("connection ", i)
		_, err := sock.Dial(loop, "tcp", l.Addr().String(), sock.DialConfig{}, func(c *sock.Conn, err error) {
			if err != nil {
				failed = err
				return
			}
			used[c.FD()] = true
			s, err := c.Stream(reactor.StreamConfig{
				OnData: func(p []byte) { got = append(got, p...) },
				OnClose: func(err error) {
					if ended++; err != nil || string(got) != want {
						failed = fmt.Errorf("got %q, %v", got, err)
					}
				},
			})
			if err != nil {
				failed = err
				return
			}
			s.Write([]byte(want))
			s.CloseWrite()
		})
		if err != nil {
			return err
		}
	}
	if err := until(loop, func() bool { return ended == 2 || failed != nil }); err != nil || failed != nil {
		return fmt.Errorf("%v %v", err, failed)
	}
	if !used[0] || !used[1] || !used[2] {
		return fmt.Errorf("the connections had descriptors %v", used)
	}
	return shut(loop)
}

// Children are started again and again while connections are accepted and dialled.
func TestChildrenInheritNothing(t *testing.T) {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skip("no /proc/self/fd here")
	}
	ls, err := exec.LookPath("ls")
	if err != nil {
		t.Skip("no ls here")
	}
	list := func() string {
		out, err := exec.Command(ls, "/proc/self/fd").Output()
		if err != nil {
			return err.Error()
		}
		return strings.Join(strings.Fields(string(out)), " ")
	}
	before := list() // 0, 1, 2, the folder that ls reads, and what we have inherited ourselves
	loop := newLoop(t)
	l := echo(t, loop, "tcp", "127.0.0.1:0")
	var storming atomic.Bool
	storming.Store(true)
	stormed := make(chan error, 1)
	go func() {
		var err error
		for storming.Load() && err == nil {
			var c net.Conn
			if c, err = net.Dial("tcp", l.Addr().String()); err == nil {
				c.(*net.TCPConn).SetLinger(0) // no TIME_WAIT
				c.Close()
			}
		}
		stormed <- err
	}()
	inherited := make(chan string, 1)
	go func() {
		defer storming.Store(false)
		for range 50 {
			if got := list(); got != before {
				inherited <- got
				return
			}
		}
		inherited <- ""
	}()
	pollUntil(t, loop, func() bool {
		_, err := sock.Dial(loop, "tcp", l.Addr().String(), sock.DialConfig{}, func(c *sock.Conn, err error) {
			if err == nil {
				c.Reset()
			}
		})
		must(t, err)
		return !storming.Load()
	})
	if got := <-inherited; got != "" {
		t.Errorf("a child has descriptors %s, want %s", got, before)
	}
	must(t, <-stormed)
	if l.Stats().Accepted == 0 {
		t.Error("nothing was accepted meanwhile")
	}
}
