package reactor_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// osPipe returns the ends of a pipe as Go's netpoller has them.
func osPipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	must(t, err)
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

func TestAdoptedFilesBelongToTheStream(t *testing.T) {
	loop := newLoop(t)
	r, w := osPipe(t)
	needOneWayPipes(t)
	var got []byte
	eof := false
	reader, err := loop.AdoptFile(r, reactor.StreamConfig{
		OnData: func(p []byte) { got = append(got, p...) },
		OnEOF:  func() { eof = true },
	})
	must(t, err)
	writer, err := loop.AdoptFile(w, reactor.StreamConfig{})
	must(t, err)
	for _, f := range []*os.File{r, w} {
		if _, err := f.Stat(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("the file is not closed: %v", err)
		}
	}
	if fd, none := reader.FDs(); none != -1 || !closeOnExec(t, fd) {
		t.Errorf("the reader has fds %d and %d", fd, none)
	}
	if none, fd := writer.FDs(); none != -1 || !closeOnExec(t, fd) {
		t.Errorf("the writer has fds %d and %d", none, fd)
	}
	must(t, writer.Write([]byte("through both")))
	writer.CloseWrite()
	run(t, loop)
	wantBytes(t, got, []byte("through both"))
	if !eof {
		t.Error("no EOF")
	}
}

// needOneWayPipes skips a test where either end of a pipe is open for both directions: on FreeBSD, OpenBSD and DragonFly.
func needOneWayPipes(t *testing.T) {
	t.Helper()
	r, w := fdtest.Pipe(t)
	defer unix.Close(r)
	defer unix.Close(w)
	mode, err := unix.FcntlInt(uintptr(r), unix.F_GETFL, 0)
	must(t, err)
	if mode&unix.O_ACCMODE == unix.O_RDWR {
		t.Skip("pipes go both ways here")
	}
}

func closeOnExec(t *testing.T, fd int) bool {
	t.Helper()
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	must(t, err)
	return flags&unix.FD_CLOEXEC != 0
}

func TestAdoptedSocketIsReadAndWritten(t *testing.T) {
	loop := newLoop(t)
	ours, theirs := fdtest.Sockets(t)
	defer theirs.Close()
	f := os.NewFile(uintptr(ours.Read), "socket")
	var s *reactor.Stream
	s, err := loop.AdoptFile(f, reactor.StreamConfig{OnData: func(p []byte) { must(t, s.Write(p)) }})
	must(t, err)
	theirs.Send(t, []byte("echo"))
	var got []byte
	pollUntil(t, loop, func() bool {
		p, _ := theirs.Available(t)
		got = append(got, p...)
		return len(got) == 4
	})
	s.Close()
}

func TestFileThatIsRefusedStaysTheCallers(t *testing.T) {
	loop := newLoop(t)
	regular, err := os.Create(filepath.Join(t.TempDir(), "regular"))
	must(t, err)
	defer regular.Close()
	_, err = loop.AdoptFile(regular, reactor.StreamConfig{})
	wantErr(t, err, unix.EPERM)
	must(t, regular.Sync())
	r, _ := osPipe(t)
	_, err = loop.AdoptFiles(r, regular, reactor.StreamConfig{})
	wantErr(t, err, unix.EPERM)
	_, err = r.Stat()
	must(t, err)
	_, err = loop.AdoptFiles(nil, nil, reactor.StreamConfig{})
	wantErr(t, err, reactor.ErrInvalid)
	r.Close()
	_, err = loop.AdoptFile(r, reactor.StreamConfig{})
	wantErr(t, err, os.ErrClosed)
	_, err = loop.AdoptFiles(regular, r, reactor.StreamConfig{})
	wantErr(t, err, os.ErrClosed)
	verify(t, loop)
}

// TestPipesOfACommandAreAdopted: os/exec goes on owning the process, and closes
// files that are closed already.
func TestPipesOfACommandAreAdopted(t *testing.T) {
	loop := newLoop(t)
	cmd := exec.Command("cat")
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	start(t, cmd)
	want := pattern(0, 1<<20)
	var got []byte
	s, err := loop.AdoptFiles(stdout.(*os.File), stdin.(*os.File), reactor.StreamConfig{
		OnData: func(p []byte) { got = append(got, p...) },
	})
	must(t, err)
	must(t, s.Write(want))
	s.CloseWrite()
	run(t, loop)
	if !bytes.Equal(got, want) {
		t.Errorf("%d of %d bytes came back", len(got), len(want))
	}
	must(t, cmd.Wait())
}
