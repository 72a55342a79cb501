package rpc

// signal tells the one who waits for a channel of capacity 1 to look again at what it
// waits for. It reports whether that had not been told before.
func signal(to chan struct{}) bool {
	select {
	case to <- struct{}{}:
		return true
	default:
		return false
	}
}
