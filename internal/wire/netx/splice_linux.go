package netx

import (
	"io"
	"os"
	"runtime"
	"sync"
	"syscall"

	"github.com/gridway/gridway/internal/wire/bufpool"
)

// pipeSize is asked for when a pipe is made; the kernel may give less (64 KiB
// once the user's pipe pages are used up).
const pipeSize = 256 << 10

const (
	spliceMove     = 1
	spliceNonblock = 2
)

// pipe carries bytes inside the kernel from one socket to another.
type pipe struct {
	r, w int
	held int // bytes in it
}

// pipes is shared by the process; a pipe is empty while it is in there. The
// collector drops what is not used, which closes the descriptors.
var pipes = sync.Pool{New: func() any {
	p, err := newPipe()
	if err != nil {
		return err
	}
	return p
}}

func newPipe() (*pipe, error) {
	var fds [2]int
	if err := syscall.Pipe2(fds[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	_, _, _ = syscall.Syscall(syscall.SYS_FCNTL, uintptr(fds[0]), syscall.F_SETPIPE_SZ, pipeSize)
	p := &pipe{r: fds[0], w: fds[1]}
	runtime.SetFinalizer(p, (*pipe).close)
	return p, nil
}

func (p *pipe) close() {
	runtime.SetFinalizer(p, nil)
	_ = syscall.Close(p.r)
	_ = syscall.Close(p.w)
}

// release gives an empty pipe back and closes one that still holds bytes.
func (p *pipe) release() {
	if p.held != 0 {
		p.close()
		return
	}
	pipes.Put(p)
}

// fill moves up to limit bytes from the socket fd into the empty pipe.
func (p *pipe) fill(fd, limit int) (int, error) {
	n, err := splice(fd, p.w, limit)
	p.held += n
	return n, err
}

// drain moves what the pipe holds into the socket fd.
func (p *pipe) drain(fd int) (int, error) {
	n, err := splice(p.r, fd, p.held)
	p.held -= n
	return n, err
}

func splice(from, to, limit int) (int, error) {
	for {
		n, err := syscall.Splice(from, nil, to, nil, limit, spliceMove|spliceNonblock)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			n = 0
		}
		return int(n), err
	}
}

// SpliceSome waits until c has bytes, moves at most limit of them to dst, and
// returns how many; like Read it may move fewer, and returns io.EOF at the end
// of the stream. Between two plain sockets the bytes never leave the kernel;
// otherwise they pass through a pooled buffer. Deadlines and the Watcher of c
// and the write deadline of dst hold. An error of dst is a *WriteError, and
// bytes that c gave up for it are lost.
func (c *Conn) SpliceSome(dst *Conn, limit int64) (int64, error) {
	if limit <= 0 {
		return 0, nil
	}
	if c.tls != nil || dst.tls != nil || c.raw == nil || dst.raw == nil || len(c.in.unread) > 0 {
		return c.copySome(dst, limit)
	}
	p, ok := pipes.Get().(*pipe)
	if !ok { // out of descriptors
		return c.copySome(dst, limit)
	}
	n, err := c.spliceThrough(p, dst, int(min(limit, pipeSize)))
	p.release()
	if err == syscall.EINVAL && n == 0 { // a socket that cannot be spliced
		return c.copySome(dst, limit)
	}
	return int64(n), err
}

func (c *Conn) spliceThrough(p *pipe, dst *Conn, limit int) (int, error) {
	c.in.mode, c.in.pipe, c.in.size, c.in.short = readSplice, p, limit, false
	err := c.waitRead()
	c.in.pipe = nil
	switch {
	case err != nil:
		return 0, err
	case c.in.err == syscall.EAGAIN: // see PollSplice
		return 0, errWouldBlock
	case c.in.err == syscall.EINVAL:
		return 0, c.in.err
	case c.in.err != nil:
		return 0, os.NewSyscallError("splice", c.in.err)
	case c.in.n == 0:
		return 0, io.EOF
	}
	dst.out.pipe, dst.out.n, dst.out.err = p, 0, nil
	dst.beginWrite()
	err = dst.waitWrite()
	dst.out.pipe = nil
	if err == nil && dst.out.err != nil {
		err = os.NewSyscallError("splice", dst.out.err)
	}
	if err != nil {
		return dst.out.n, &WriteError{err}
	}
	return dst.out.n, nil
}

// PollSplice is SpliceSome for a task that leaves its socket idle rather than
// wait: wait is true if nothing has come yet, as with PollIdle. Both ends are
// plain sockets of a loop, and nothing was unread.
func (c *Conn) PollSplice(dst *Conn, limit int64) (n int64, wait bool, err error) {
	c.in.poll = true
	n, err = c.SpliceSome(dst, limit)
	c.in.poll = false
	return n, err == errWouldBlock, err
}

// copySome is SpliceSome through user space.
func (c *Conn) copySome(dst *Conn, limit int64) (int64, error) {
	buf := bufpool.Get(bufpool.Large)
	defer buf.Release()
	n, err := c.Read(buf.B[:min(limit, int64(len(buf.B)))])
	if n == 0 {
		return 0, err
	}
	m, err := dst.Write(buf.B[:n])
	if err != nil {
		return int64(m), &WriteError{err}
	}
	return int64(m), nil
}

// SpliceTo moves n bytes from c to dst, or with n < 0 all until the end of the
// stream, and returns how many arrived. A stream that ends before n bytes is
// io.ErrUnexpectedEOF. The deadlines that are set bound the whole; a caller
// who wants to move them on, or to count, calls SpliceSome in a loop.
func (c *Conn) SpliceTo(dst *Conn, n int64) (int64, error) {
	var total int64
	for n < 0 || total < n {
		limit := int64(pipeSize)
		if n >= 0 {
			limit = min(limit, n-total)
		}
		m, err := c.SpliceSome(dst, limit)
		total += m
		if err == io.EOF {
			if n < 0 {
				return total, nil
			}
			return total, io.ErrUnexpectedEOF
		}
		if err != nil {
			return total, err
		}
	}
	return total, nil
}
