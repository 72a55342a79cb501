// Package kqsim is a kqueue for Linux, made of epoll, pidfds and questions to the
// kernel about each descriptor, so that the kqueue poller and all that is above
// it is tested on real pipes, sockets and processes without a BSD at hand.
//
// It follows kqueue(2) where the systems agree, and Quirks where they do not.
// Only tests import it.
//
// What it cannot do: tell the error of a socket (it says ECONNRESET), notice that
// a descriptor was closed and its number used again for the very same pipe end or
// socket, end a sleep when a regular file grows or when a process begins to exit.
package kqsim

import "syscall"

// Quirks are what differs between the systems that have kqueue. The zero value
// is what most of them do, or allow. docs/portability.md has a section for each.
type Quirks struct {
	// NoUser: EVFILT_USER is EINVAL. NetBSD before 10.0, OpenBSD before 7.8.
	// https://github.com/libevent/libevent/blob/master/kqueue.c
	NoUser bool
	// DeafUser: EVFILT_USER can be added and triggered, and is never reported. Said
	// of old versions of macOS. https://github.com/libuv/libuv/pull/4330
	DeafUser bool
	// NoReceipt: EV_RECEIPT is ignored. NetBSD as x/sys knows it.
	NoReceipt bool
	// ClosedFD is the error of a change for a descriptor that is not open: 0 is
	// EBADF, and FreeBSD may say NotCapable.
	// https://github.com/libevent/libevent/pull/139
	ClosedFD syscall.Errno
	// DeadPipe is the error of adding a write filter to a pipe that has no
	// reader: EPIPE on macOS 10.10 and 10.11 and by FreeBSD's and OpenBSD's
	// sources, EBADF by NetBSD's; libevent knows EPERM, too.
	// https://github.com/tokio-rs/mio/pull/584
	DeadPipe syscall.Errno
	// EOFDeletes: the EV_EOF of a pipe's write filter is its last report; the
	// filter goes with the read end that it was attached to. FreeBSD.
	// https://github.com/nim-lang/Nim/pull/24079
	EOFDeletes bool
	// DeadReaderIsRead: when the last reader of a pipe closes, only the read filter
	// of the write end tells. "On some systems", says Go's runtime.
	// https://github.com/golang/go/blob/master/src/runtime/netpoll_kqueue.go
	DeadReaderIsRead bool
	// DeadReaderIsWrite: only the write filter does, as on a system whose pipes go
	// one way and whose read filter knows of no data there.
	DeadReaderIsWrite bool
	// EndlessFiles: the write filter of a regular file is reported for ever. FreeBSD.
	// Elsewhere it is reported once, whenever it is added.
	EndlessFiles bool
	// ZombieESRCH: a process that has exited cannot be registered. macOS, NetBSD,
	// OpenBSD; FreeBSD and DragonFly report it at once.
	// https://github.com/libuv/libuv/pull/3451
	ZombieESRCH bool
	// ZombieSilent: it can be registered, and is never reported. Said of macOS.
	// https://github.com/oven-sh/bun/pull/35414
	ZombieSilent bool
	// EarlyExit: a process is reported, and is ESRCH if ZombieESRCH, as soon as it
	// has begun to exit: wait4 has to wait then. Any system.
	// https://github.com/libuv/libuv/pull/3521
	EarlyExit bool
	// DisabledStays: adding a filter again without EV_ENABLE does not enable it. Some
	// versions of macOS (libev's Changes, 4.00). Here not even if it was enabled,
	// because the poller never disables one.
	// http://cvs.schmorp.de/libev/Changes
	DisabledStays bool
	// FIFOStaysOpen: the read filter of a named pipe does not tell that the last
	// writer has closed. macOS. https://github.com/golang/go/issues/24164
	FIFOStaysOpen bool
	// NoTerminals: a filter for a terminal is EINVAL. macOS; libuv uses select(2) for
	// them. https://github.com/libuv/libuv/blob/v1.x/src/unix/stream.c
	NoTerminals bool
	// LongTimeout: a timeout of more than 100 million seconds is EINVAL. macOS.
	// https://github.com/golang/go/blob/master/src/runtime/netpoll_kqueue.go
	LongTimeout bool
	// WriteFirst: the reports of write filters come before those of read filters.
	// Seen on macOS with the end of a Unix socket.
	// https://github.com/panjf2000/gnet
	WriteFirst bool
	// SoleScan: of two calls that ask for events at the same time, one may miss what
	// the other is looking at. NetBSD before 10. That is a matter of luck, so here the
	// second of them panics. https://github.com/golang/go/issues/42515
	SoleScan bool
	// InterruptEvery: of the calls that find nothing and would sleep, each
	// one of this number is EINTR, after its changes were made. Any system, when a
	// signal comes.
	InterruptEvery int
}

// NotCapable is FreeBSD's ENOTCAPABLE.
const NotCapable = syscall.Errno(93)

// Presets are the quirks of each system, those of none in particular, all of them
// at once, and the rest, which cannot be together with all of them.
func Presets() map[string]Quirks {
	return map[string]Quirks{
		"darwin": {
			DeadPipe: syscall.EPIPE, ZombieESRCH: true, EarlyExit: true, DisabledStays: true, FIFOStaysOpen: true,
			NoTerminals: true, LongTimeout: true, WriteFirst: true,
		},
		"freebsd":   {ClosedFD: NotCapable, DeadPipe: syscall.EPIPE, EOFDeletes: true, EndlessFiles: true, EarlyExit: true},
		"netbsd9":   {NoUser: true, NoReceipt: true, DeadPipe: syscall.EBADF, ZombieESRCH: true, SoleScan: true},
		"openbsd":   {NoUser: true, DeadPipe: syscall.EPIPE, ZombieESRCH: true, EarlyExit: true},
		"dragonfly": {},
		"one-way":   {DeadReaderIsWrite: true, EOFDeletes: true, SoleScan: true},
		"all": {
			NoUser: true, NoReceipt: true, ClosedFD: NotCapable, DeadPipe: syscall.EBADF, EOFDeletes: true, DeadReaderIsRead: true,
			EndlessFiles: true, ZombieESRCH: true, EarlyExit: true, DisabledStays: true, FIFOStaysOpen: true, NoTerminals: true,
			LongTimeout: true, WriteFirst: true, SoleScan: true, InterruptEvery: 3,
		},
		"rest": {DeafUser: true, DeadPipe: syscall.EPERM, DeadReaderIsWrite: true, ZombieSilent: true, EarlyExit: true, SoleScan: true},
	}
}
