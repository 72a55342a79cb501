//go:build !linux

package child

import "os"

func self() (string, error) { return os.Executable() }
