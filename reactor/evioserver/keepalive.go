//go:build linux || darwin || (freebsd && !386 && !arm)

package evioserver

import "net"

// restoreKeepAlive undoes what package net does to each connection that it is given:
// keep-alive is what Opened has asked for.
func restoreKeepAlive(conn net.Conn, c *conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	k := c.keepAlive()
	// It fails only when the client is gone already.
	_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: k.Idle > 0, Idle: k.Idle, Interval: k.Interval})
}
