package child

import "syscall"

// nameProcess has ps and top show this process by the name of its worker, of which Linux keeps 15 bytes. They
// would show "exe", after /proc/self/exe. The file is that of the main thread, whichever this one is, while
// PR_SET_NAME names the thread that asks. Without /proc the process goes by its old name.
func nameProcess(name string) {
	fd, err := syscall.Open("/proc/self/comm", syscall.O_WRONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer syscall.Close(fd)
	_, _ = syscall.Write(fd, []byte(name))
}
