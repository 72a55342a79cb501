package reactor

// defaultPipe is what a pipe of Linux holds, and widePipe what a stream gives it once it
// has been full: two processes on one processor then take turns half as often, and
// what both touch still lies in the cache (docs/performance.md).
const (
	defaultPipe = 64 << 10
	widePipe    = 128 << 10
)

// widen enlarges a pipe that is full, the first time; wide is the mark of that.
func (s *Stream) widen(fd int, wide *bool) {
	if !*wide {
		*wide = true
		sysWiden(fd)
	}
}
