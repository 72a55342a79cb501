package rpc

import "syscall"

// readSize is how much a server whose descriptors block reads at once, in bytes.
const readSize = 64 << 10

// frameReader reads frames from a blocking descriptor.
type frameReader struct {
	fd      int
	buf     []byte
	decoder decoder
}

func (s *Server) newReader(fd int) frameReader {
	return frameReader{fd: fd, buf: make([]byte, readSize), decoder: s.newDecoder()}
}

// read reads once and feeds the decoder. false is the EOF; an EOF amid a frame
// is an error.
func (r *frameReader) read() (bool, error) {
	for {
		n, err := syscall.Read(r.fd, r.buf)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return false, &readError{err}
		case n > 0:
			r.decoder.feed(r.buf[:n])
			return true, nil
		case r.decoder.pending() > 0:
			return false, violation("the input ended in the middle of a frame, after %d bytes", r.decoder.pending())
		default:
			return false, nil
		}
	}
}

// readError is a read that failed, other than by the end of the input.
type readError struct{ err error }

// Error implements error.
func (e *readError) Error() string { return "rpc: read from the parent: " + e.err.Error() }

// Unwrap returns the cause, mostly an errno.
func (e *readError) Unwrap() error { return e.err }
