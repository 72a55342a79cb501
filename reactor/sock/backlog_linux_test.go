package sock_test

import (
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor/sock"
)

// What TCP_INFO calls sacked is the backlog of a listening socket (tcp_get_info).
func TestBacklogIsTheSystemsUnlessSet(t *testing.T) {
	text, err := os.ReadFile("/proc/sys/net/core/somaxconn")
	if err != nil {
		t.Skipf("the system's limit is not known: %v", err)
	}
	most, err := strconv.Atoi(strings.TrimSpace(string(text)))
	must(t, err)
	loop := newLoop(t)
	for asked, want := range map[int]int{0: most, 7: 7, most + 1: most, math.MaxInt/2 + 1: most} {
		l := listen(t, loop, "tcp", "127.0.0.1:0", sock.ListenConfig{Backlog: asked}, ignore)
		info, err := unix.GetsockoptTCPInfo(l.FD(), unix.IPPROTO_TCP, unix.TCP_INFO)
		must(t, err)
		if got := int(info.Sacked); got != want {
			t.Errorf("asked for %d, got %d, want %d", asked, got, want)
		}
	}
}
