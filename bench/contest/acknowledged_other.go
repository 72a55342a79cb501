//go:build !linux

package main

import (
	"errors"
	"net"
)

func unacknowledged(net.Conn) (uint32, error) {
	return 0, errors.New("asking for unacknowledged bytes: only on Linux")
}
