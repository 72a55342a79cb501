//go:build !linux

package child

// nameProcess does nothing: the process has the name of the program's file already.
func nameProcess(string) {}
