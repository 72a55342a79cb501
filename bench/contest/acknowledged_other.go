//go:build !linux

package main

import (
	"errors"
	"net"
)

func unacknowledged(net.Conn) (int, error) {
	return 0, errors.New("asking for unacknowledged bytes: only on Linux")
}
