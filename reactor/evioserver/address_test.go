//go:build linux || darwin || (freebsd && !386 && !arm)

package evioserver_test

import (
	"testing"

	"github.com/evfork/evfork/reactor/evioserver"
)

func TestAddressesAreReadAsEvioDoes(t *testing.T) {
	for _, c := range []struct {
		text, network, name string
		reusePort           bool
	}{
		{"localhost:1", "tcp", "localhost:1", false},
		{"tcp://localhost:1", "tcp", "localhost:1", false},
		{"tcp4-net://:1", "tcp4", ":1", false},
		{"unix://a/socket", "unix", "a/socket", false},
		{"udp6://[::1]:1?reuseport=1", "udp6", "[::1]:1", true},
		{"tcp://:1?reuseport=true", "tcp", ":1", true},
		{"tcp://:1?reuseport=yes&x=y", "tcp", ":1", true},
		{"tcp://:1?x=y&reuseport=Y", "tcp", ":1", true},
		{"tcp://:1?reuseport=0", "tcp", ":1", false},
		{"tcp://:1?reuseport=false", "tcp", ":1", false},
		{"tcp://:1?reuseport=", "tcp", ":1", false},
		{"tcp://:1?reuseport=1=2", "tcp", ":1", false},
		{"tcp://:1?reuseport", "tcp", ":1", false},
		{"a://b://c", "a", "b", false},
	} {
		network, name, reusePort := evioserver.ParseAddress(c.text)
		if network != c.network || name != c.name || reusePort != c.reusePort {
			t.Errorf("%s is %q, %q, %v", c.text, network, name, reusePort)
		}
	}
}
