package main

import (
	"errors"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Plain sockets for a loop that watches any descriptor. They are non-blocking
// and no child's: syscall.ForkLock keeps os/exec from forking in between, as in
// package net where the kernel cannot do it in one step.

// listenRaw opens a listening socket on "tcp" (IPv4) or "unix".
func listenRaw(network, address string) (int, error) {
	var sockaddr unix.Sockaddr = &unix.SockaddrUnix{Name: address}
	domain := unix.AF_UNIX
	if network == "tcp" {
		domain = unix.AF_INET
		resolved, err := net.ResolveTCPAddr("tcp4", address)
		if err != nil {
			return -1, err
		}
		sockaddr = &unix.SockaddrInet4{Port: resolved.Port, Addr: [4]byte(resolved.IP.To4())}
	}
	fd, err := prepared(func() (int, error) { return unix.Socket(domain, unix.SOCK_STREAM, 0) })
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	err = errors.Join(
		os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)),
		os.NewSyscallError("bind", unix.Bind(fd, sockaddr)),
		os.NewSyscallError("listen", unix.Listen(fd, unix.SOMAXCONN)))
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// acceptRaw takes one connection, or returns EAGAIN.
func acceptRaw(listener int) (int, error) {
	return prepared(func() (int, error) {
		fd, _, err := unix.Accept(listener)
		return fd, err
	})
}

func prepared(open func() (int, error)) (int, error) {
	syscall.ForkLock.RLock()
	fd, err := open()
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
