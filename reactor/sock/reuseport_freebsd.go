package sock

import "golang.org/x/sys/unix"

// reusePort is the option that spreads connections over the sockets; with
// SO_REUSEPORT the last one would get them all (setsockopt(2), FreeBSD 12).
const reusePort = unix.SO_REUSEPORT_LB
