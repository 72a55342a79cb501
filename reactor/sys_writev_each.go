package reactor

// writeEach is a writev of one write(2) for each buffer, and of at most maxTransfer bytes. It goes on until one is written
// in part, because that is how callers know that there is no room for more: if it wrote the first buffer only, a stream
// would wait for the poller after each. It is compiled for all systems, so that tests compare it with writev.
func writeEach(fd int, bufs [][]byte) (written int, err error) {
	for _, b := range bufs {
		if written == maxTransfer {
			break
		}
		if b = b[:min(len(b), maxTransfer-written)]; len(b) == 0 {
			continue
		}
		n, err := sysWrite(fd, b)
		if err != nil {
			if written > 0 {
				return written, nil // the next call meets it again
			}
			return 0, err
		}
		if written += n; n < len(b) {
			break
		}
	}
	return written, nil
}
