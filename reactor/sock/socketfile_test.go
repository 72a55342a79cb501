package sock_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor/sock"
)

// stale makes a socket file that nobody listens on, as a process that died leaves it.
func stale(t testing.TB, path string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	must(t, err)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	must(t, l.Close())
	_, err = os.Lstat(path)
	must(t, err)
}

func ignore(*sock.Conn) {}

func TestStaleSocketFileIsReplaced(t *testing.T) {
	loop := newLoop(t)
	path := filepath.Join(shortDir(t), "s")
	stale(t, path)
	l := echo(t, loop, "unix", path)
	client(t, l.Addr())
	pollUntil(t, loop, func() bool { return l.Stats().Accepted == 1 })
}

func TestSocketFileInUseIsLeftAlone(t *testing.T) {
	loop := newLoop(t)
	path := filepath.Join(shortDir(t), "s")
	l := echo(t, loop, "unix", path)
	_, err := sock.Listen(loop, "unix", path, sock.ListenConfig{}, ignore)
	wantErr(t, err, unix.EADDRINUSE)
	client(t, l.Addr())
}

func TestSocketFileInUseWithAFullBacklogIsLeftAlone(t *testing.T) {
	loop := newLoop(t)
	path := filepath.Join(shortDir(t), "s")
	listen(t, loop, "unix", path, sock.ListenConfig{Backlog: 1}, ignore)
	fillBacklog(t, path)
	_, err := sock.Listen(loop, "unix", path, sock.ListenConfig{}, ignore)
	wantErr(t, err, unix.EADDRINUSE)
}

func TestFileThatIsNoSocketIsLeftAlone(t *testing.T) {
	loop := newLoop(t)
	path := filepath.Join(shortDir(t), "f")
	must(t, os.WriteFile(path, []byte("precious"), 0o600))
	_, err := sock.Listen(loop, "unix", path, sock.ListenConfig{}, ignore)
	wantErr(t, err, unix.EADDRINUSE)
	if got, err := os.ReadFile(path); string(got) != "precious" {
		t.Errorf("the file has %q, %v", got, err)
	}
}

func TestSymbolicLinkIsLeftAlone(t *testing.T) {
	loop := newLoop(t)
	dir := shortDir(t)
	path, target := filepath.Join(dir, "link"), filepath.Join(dir, "s")
	stale(t, target)
	must(t, os.Symlink(target, path))
	_, err := sock.Listen(loop, "unix", path, sock.ListenConfig{}, ignore)
	wantErr(t, err, unix.EADDRINUSE)
	for _, name := range []string{path, target} {
		if _, err := os.Lstat(name); err != nil {
			t.Error(err)
		}
	}
}

func TestSocketFileHasTheMode(t *testing.T) {
	loop := newLoop(t)
	dir := shortDir(t)
	for _, mode := range []os.FileMode{0o600, 0o666, 0o777} {
		path := filepath.Join(dir, mode.String())
		listen(t, loop, "unix", path, sock.ListenConfig{Mode: mode}, ignore)
		info, err := os.Lstat(path)
		must(t, err)
		if info.Mode().Perm() != mode {
			t.Errorf("mode is %v, want %v", info.Mode().Perm(), mode)
		}
	}
}

func TestSocketFileGoesWithItsListener(t *testing.T) {
	for _, keep := range []bool{false, true} {
		loop := newLoop(t)
		path := filepath.Join(shortDir(t), "s")
		l := listen(t, loop, "unix", path, sock.ListenConfig{KeepFile: keep}, ignore)
		l.Close()
		_, err := os.Lstat(path)
		if kept := err == nil; kept != keep {
			t.Errorf("KeepFile %v: %v", keep, err)
		}
	}
}

func TestSocketFileOfAnotherIsNotRemoved(t *testing.T) {
	loop := newLoop(t)
	path := filepath.Join(shortDir(t), "s")
	l := echo(t, loop, "unix", path)
	must(t, os.Rename(path, path+".old"))
	successor := echo(t, loop, "unix", path)
	l.Close()
	client(t, successor.Addr())
}

func TestSocketInAMissingFolderIsAnError(t *testing.T) {
	loop := newLoop(t)
	_, err := sock.Listen(loop, "unix", filepath.Join(shortDir(t), "missing", "s"), sock.ListenConfig{}, ignore)
	wantErr(t, err, unix.ENOENT)
}

func TestUnixClientHasNoName(t *testing.T) {
	loop := newLoop(t)
	var remote, local sock.Addr
	var errs error
	accepted := false
	path := filepath.Join(shortDir(t), "s")
	l := listen(t, loop, "unix", path, sock.ListenConfig{}, func(c *sock.Conn) {
		accepted = true
		var err error
		remote, errs = c.RemoteAddr()
		local, err = c.LocalAddr()
		errs = errors.Join(errs, err)
	})
	client(t, l.Addr())
	pollUntil(t, loop, func() bool { return accepted })
	must(t, errs)
	if remote != (sock.Addr{}) || local.Path != path {
		t.Errorf("remote %v, local %v", remote, local)
	}
}
