//go:build !linux

package sock

import "golang.org/x/sys/unix"

// receiveFrom uses recvmsg, which says in its flags whether there was more.
func receiveFrom(fd int, buf []byte) (n int, truncated bool, from source, err error) {
	n, _, flags, sa, err := unix.Recvmsg(fd, buf, nil, 0)
	if err != nil {
		return 0, false, from, err
	}
	if addr := addrOf(sa); addr.AddrPort.IsValid() {
		from.inet, err = inetOf(addr.AddrPort)
	} else {
		from.size = copy(from.path[:], addr.Path)
	}
	return n, flags&unix.MSG_TRUNC != 0, from, err
}

func sendDatagram(fd, family int, data []byte, to *destination) error {
	if !to.inet.known && to.path == "" {
		_, err := unix.SendmsgN(fd, data, nil, nil, 0)
		return err
	}
	addr := Addr{Path: to.path}
	if to.inet.known {
		addr.AddrPort = to.inet.addrPort()
	}
	sa, err := addr.sockaddr(family)
	if err != nil {
		return err
	}
	return unix.Sendto(fd, data, 0, sa)
}
