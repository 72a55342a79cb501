package reactor

import (
	"strconv"
	"testing"
	"unsafe"
)

// TestIdleObjectsStaySmall: the sizes with which docs/performance.md, "Memory", comes to its figures. A stream has two functions besides, and
// its share of the table of descriptors; together they are to stay below 400 bytes.
func TestIdleObjectsStaySmall(t *testing.T) {
	if strconv.IntSize < 64 {
		t.Skip("the sizes are those of a machine of 64 bits")
	}
	for _, object := range []struct {
		name       string
		size, most uintptr
	}{
		{"FDWatcher", unsafe.Sizeof(FDWatcher{}), 48},
		{"Timer", unsafe.Sizeof(Timer{}), 48},
		{"Stream", unsafe.Sizeof(Stream{}), 320},
	} {
		if object.size > object.most {
			t.Errorf("a %s has %d bytes, which is more than %d", object.name, object.size, object.most)
		}
	}
}
