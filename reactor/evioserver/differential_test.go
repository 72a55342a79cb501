//go:build linux || darwin || (freebsd && !386 && !arm)

package evioserver_test

const subjectVariable = "EVFORK_EVIO_SUBJECT"

func runSubject(string) {}
