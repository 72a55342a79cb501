package reactor_test

import (
	"bytes"
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

func TestReadFDAndWriteFDSayWhatTheKernelSays(t *testing.T) {
	p := pipe(t)
	var buf [16]byte
	if n, err := reactor.ReadFD(p.Read, buf[:]); n != 0 || err != unix.EAGAIN {
		t.Errorf("an empty pipe: %d, %v", n, err)
	}
	if n, err := reactor.WriteFD(p.Write, []byte("hello")); n != 5 || err != nil {
		t.Errorf("write: %d, %v", n, err)
	}
	if n, err := reactor.ReadFD(p.Read, buf[:]); string(buf[:n]) != "hello" || err != nil {
		t.Errorf("read: %q, %v", buf[:n], err)
	}
	if n, err := reactor.ReadFD(p.Read, nil); n != 0 || err != nil {
		t.Errorf("read of nothing: %d, %v", n, err)
	}
	p.CloseWrite()
	if n, err := reactor.ReadFD(p.Read, buf[:]); n != 0 || err != nil {
		t.Errorf("end of file: %d, %v", n, err)
	}
}

func TestWriteFDStopsWhereThePipeIsFull(t *testing.T) {
	p := pipe(t)
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB, more than a pipe holds
	written := 0
	for {
		n, err := reactor.WriteFD(p.Write, data[written:])
		written += n
		if err == unix.EAGAIN {
			break
		}
		if must(t, err); written == len(data) {
			t.Fatal("the pipe holds everything: nothing was tested")
		}
	}
	got := make([]byte, len(data))
	read := 0
	for {
		n, err := reactor.ReadFD(p.Read, got[read:])
		read += n
		if err == unix.EAGAIN {
			break
		}
		must(t, err)
	}
	if !bytes.Equal(got[:read], data[:written]) {
		t.Errorf("wrote %d bytes and read %d, or others", written, read)
	}
}

func TestErrorsOfReadFDAndWriteFDNameTheDescriptor(t *testing.T) {
	p := pipe(t)
	_, err := reactor.ReadFD(p.Write, make([]byte, 1)) // the wrong end
	var op *reactor.OpError
	if !errors.As(err, &op) || op.Op != "read" || op.FD != p.Write || op.Err != unix.EBADF {
		t.Errorf("read: %v", err)
	}
	p.CloseRead()
	_, err = reactor.WriteFD(p.Write, []byte("x"))
	if !errors.As(err, &op) || op.Op != "write" || op.FD != p.Write || op.Err != unix.EPIPE {
		t.Errorf("write: %v", err)
	}
}

func TestReadFDAndWriteFDAllocateNothing(t *testing.T) {
	p := pipe(t)
	mustNotAllocate(t, func() {
		var buf [16]byte // stays on the stack
		_, err := reactor.WriteFD(p.Write, buf[:])
		must(t, err)
		_, err = reactor.ReadFD(p.Read, buf[:])
		must(t, err)
		if _, err := reactor.ReadFD(p.Read, buf[:]); err != unix.EAGAIN {
			t.Error(err)
		}
	})
}
