package reactor_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/evfork/evfork/internal/leaktest"
)

// calls counts system calls by name.
type calls map[string]int

func (c calls) of(names ...string) (n int) {
	for _, name := range names {
		n += c[name]
	}
	return n
}

// except is the calls that are none of these.
func (c calls) except(names ...string) calls {
	rest := calls{}
	for name, n := range c {
		rest[name] = n
	}
	for _, name := range names {
		delete(rest, name)
	}
	return rest
}

// waits counts the ways to ask epoll.
func (c calls) waits() int { return c.of("epoll_wait", "epoll_pwait", "epoll_pwait2") }

// withoutRuntime leaves out what the Go runtime calls on whatever thread it is at
// work on: to preempt, to sleep and wake threads, and for memory.
func (c calls) withoutRuntime() calls {
	return c.except("futex", "futex_time64", "sched_yield", "nanosleep", "rt_sigreturn", "tgkill", "madvise", "mmap", "mmap2", "munmap", "getpid", "clone", "clone3")
}

// others is what is called besides reads, writes, registrations and waits.
func (c calls) others() calls {
	return c.withoutRuntime().except("read", "write", "writev", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2")
}

// underStrace runs the scenario in a process of its own under strace, on a thread
// that nothing else runs on, and returns the calls that each section made: those
// of the thread that marked its beginning and its end. In that process it
// returns nil. It skips the test where there is no strace, or no leave to trace.
func underStrace(t *testing.T, scenario func(t *testing.T)) map[string]calls {
	t.Helper()
	if os.Getenv(envAlone) == t.Name() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		scenario(t)
		return nil
	}
	leaktest.Check(t)
	if loop := newLoop(t); loop.Backend() != "epoll" {
		t.Skip("the budget is epoll's, this loop waits with ", loop.Backend())
	}
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("missing here: ", err)
	}
	if out, err := exec.Command("strace", "-f", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		t.Skipf("strace may not trace here: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*guard)
	defer cancel()
	trace := filepath.Join(t.TempDir(), "trace")
	// No signals from the scheduler and no collector: only what the scenario does.
	cmd := aloneCommand(ctx, t, []string{"strace", "-f", "-e", "signal=none", "-o", trace}, "GODEBUG=asyncpreemptoff=1", "GOGC=off", "GOMAXPROCS=4")
	out, err := cmd.CombinedOutput()
	aloneVerdict(t, out, err)
	return readTrace(t, trace)
}

// section marks where a section begins or ends on this thread, for strace: by a
// write to a descriptor that cannot be. A section may have several parts.
func section(name, edge string) {
	text := []byte(name + " " + edge)
	syscall.RawSyscall(syscall.SYS_WRITE, ^uintptr(0), uintptr(unsafe.Pointer(&text[0])), uintptr(len(text)))
}

func readTrace(t *testing.T, path string) map[string]calls {
	t.Helper()
	file, err := os.Open(path)
	must(t, err)
	defer file.Close()
	sections := map[string]calls{}
	inside := map[string]string{} // thread: section
	for lines := bufio.NewScanner(file); lines.Scan(); {
		// "1234  read(5, "x", 65536) = 1", "1234 <... read resumed>"
		thread, call, _ := strings.Cut(lines.Text(), " ")
		name, args, isCall := strings.Cut(strings.TrimSpace(call), "(")
		if !isCall || strings.HasPrefix(name, "<") {
			continue
		}
		if mark, ok := strings.CutPrefix(args, `-1, "`); ok && name == "write" {
			mark, _, _ = strings.Cut(mark, `"`)
			if begun, ok := strings.CutSuffix(mark, " begin"); ok {
				inside[thread] = begun
				if sections[begun] == nil {
					sections[begun] = calls{}
				}
			} else {
				delete(inside, thread)
			}
			continue
		}
		if in := inside[thread]; in != "" {
			sections[in][name]++
		}
	}
	return sections
}
