package netx

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gridway/gridway/internal/wire/bufpool"
)

// watchEvery is the time between two questions to a Watcher.
const watchEvery = int64(100 * time.Millisecond)

// errWouldBlock passes through crypto/tls, which leaves a connection intact
// after an error that is a net.Error and temporary.
var errWouldBlock error = wouldBlock{}

type wouldBlock struct{}

func (wouldBlock) Error() string   { return "netx: would block" }
func (wouldBlock) Timeout() bool   { return true }
func (wouldBlock) Temporary() bool { return true }

type readMode uint8

const (
	readPlain  readMode = iota // into p
	readIdle                   // into a buffer taken for the attempt
	readSplice                 // into pipe
	readAsk                    // like readIdle, after ask was written
	readPoll                   // into p, without waiting
)

// reader is the state of the read that is under way. It is in the Conn because
// a callback that captured it would be an allocation for each read.
type reader struct {
	by    int64 // when reads shall fail, monotonic, 0 = never
	armed int64 // when the runtime's timer fires, 0 = it is off
	near  bool  // armed was set for the Watcher: it is at most watchEvery away
	// Of the wait that is under way: it has begun, and armed was set for it.
	blocked, own bool

	ready func(fd uintptr) bool // Conn.readReady, made once
	mode  readMode
	poll  bool // do not wait
	short bool // the last read got less than it had room for
	// inline: crypto/tls is being called from within ready.
	inline atomic.Bool
	fd     int // the descriptor while inline
	p      []byte
	ask    []byte       // what is still to be written before the read
	from   *bufpool.Buf // to be released once it was
	idle   *bufpool.Buf
	size   int // of the idle buffer, or bytes to splice
	pipe   *pipe
	n      int
	err    error
	unread []byte // bytes that were read too far, given to the next read
}

// readRaw reads from the socket, below TLS.
func (c *Conn) readRaw(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(c.in.unread) > 0 {
		return c.takeUnread(p), nil
	}
	if c.raw == nil {
		return c.readGeneric(p)
	}
	if c.in.inline.Load() {
		if c.in.poll && c.empty() {
			return 0, errWouldBlock
		}
		n, err := c.readNow(c.in.fd, p)
		if err == syscall.EAGAIN {
			return 0, errWouldBlock
		}
		return readResult(n, err)
	}
	c.in.mode, c.in.p = readPlain, p
	err := c.waitRead()
	c.in.p = nil
	if err != nil {
		return 0, err
	}
	if c.in.err == syscall.EAGAIN { // see PollSplice
		return 0, errWouldBlock
	}
	return readResult(c.in.n, c.in.err)
}

func (c *Conn) takeUnread(p []byte) int {
	n := copy(p, c.in.unread)
	c.in.unread = c.in.unread[n:]
	if len(c.in.unread) == 0 {
		c.in.unread = nil
	}
	return n
}

// readResult turns the answer of read(2) into that of an io.Reader.
func readResult(n int, err error) (int, error) {
	switch {
	case err == nil && n == 0:
		return 0, io.EOF
	case err == nil:
		return n, nil
	}
	if _, ok := err.(syscall.Errno); ok {
		err = os.NewSyscallError("read", err)
	}
	return 0, err
}

// ReadIdle waits for the next bytes without holding a buffer: it takes one of
// at least size bytes for each attempt and gives it back while it waits. The
// caller releases the buffer that it gets with n > 0. Besides the errors of
// Read it returns ErrInterrupted.
func (c *Conn) ReadIdle(size int) (buf *bufpool.Buf, n int, err error) {
	if c.raw == nil || len(c.in.unread) > 0 {
		return c.readIdleHolding(size)
	}
	c.in.mode, c.in.size = readIdle, size
	if err := c.waitRead(); err != nil {
		return nil, 0, err
	}
	return c.takeIdle()
}

// takeIdle is the outcome of a read into a buffer taken for it.
func (c *Conn) takeIdle() (buf *bufpool.Buf, n int, err error) {
	if c.in.err == syscall.EAGAIN {
		return nil, 0, errWouldBlock
	}
	if c.tls == nil {
		c.in.n, c.in.err = readResult(c.in.n, c.in.err)
	}
	buf, c.in.idle = c.in.idle, nil
	if c.in.err != nil {
		buf.Release()
		return nil, 0, c.in.err
	}
	return buf, c.in.n, nil
}

// PollIdle is ReadIdle for a task that leaves its socket idle rather than wait:
// wait is true if nothing has come yet. The time of SetReadBy is then set, and
// the handler of the socket is called at that time, after Interrupt, or when
// there is something to read. Only connections with a loop can be polled.
func (c *Conn) PollIdle(size int) (buf *bufpool.Buf, n int, wait bool, err error) {
	if c.tls == nil && len(c.in.unread) == 0 && c.empty() && !c.interrupted.Load() {
		c.in.mode = readIdle
		c.armRead()
		return nil, 0, true, nil
	}
	c.in.poll = true
	buf, n, err = c.ReadIdle(size)
	c.in.poll = false
	return buf, n, err == errWouldBlock, err
}

// Poll is PollIdle into the room that a caller has already, behind bytes that it
// could not use yet. Interrupt does not concern it; Nudge does.
func (c *Conn) Poll(p []byte) (n int, wait bool, err error) {
	if len(c.in.unread) > 0 && c.tls == nil {
		return c.takeUnread(p), false, nil
	}
	if c.tls == nil && c.empty() {
		c.armRead()
		return 0, true, nil
	}
	c.in.mode, c.in.p, c.in.poll = readPoll, p, true
	err = c.waitRead()
	c.in.mode, c.in.p, c.in.poll = readPlain, nil, false
	switch {
	case err != nil:
		return 0, false, err
	case c.in.err == syscall.EAGAIN:
		return 0, true, nil
	case c.tls != nil:
		return c.in.n, false, c.in.err
	}
	n, err = readResult(c.in.n, c.in.err)
	return n, false, err
}

// Nudge calls the handler of an idle socket, or lets it be called once more if
// it runs; a read that waits asks the Watcher. Any goroutine may call it, at any
// time: at worst somebody looks in vain. Connections without a loop ignore it.
func (c *Conn) Nudge() {
	if c.sock != nil {
		c.nudged.Store(true)
		_ = c.sock.SetReadBy(1)
	}
}

// Hush forgets the time of SetReadBy and a Nudge, for a task that leaves its socket
// idle without having looked whether there is something to read.
func (c *Conn) Hush() {
	c.in.by, c.in.armed = 0, 0
	c.nudged.Store(false)
	if c.sock != nil {
		_ = c.sock.SetReadBy(0)
	}
}

// readIdleHolding is ReadIdle where there is no descriptor to wait on.
func (c *Conn) readIdleHolding(size int) (*bufpool.Buf, int, error) {
	buf := bufpool.Get(size)
	c.in.mode = readIdle
	n, err := c.Read(buf.B)
	c.in.mode = readPlain
	if err != nil {
		buf.Release()
		return nil, 0, err
	}
	return buf, n, nil
}

// waitRead runs the read that c.in describes until it is done or its time is up.
func (c *Conn) waitRead() error {
	c.in.blocked, c.in.own = false, false
	for {
		err := c.raw.Read(c.in.ready)
		if err == nil {
			return nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		if err := c.readExpired(); err != nil {
			return err
		}
	}
}

// readExpired is called when the runtime's timer fired, or had fired before the
// read was tried. It arms the timer again if there is still time.
func (c *Conn) readExpired() error {
	now := Monotonic()
	c.in.armed = 0
	if c.in.mode == readIdle && c.interrupted.Load() {
		return c.setReadTimer(0) // the next attempt takes what came meanwhile, or gives up
	}
	if c.in.by != 0 && now >= c.in.by {
		return os.ErrDeadlineExceeded
	}
	young := !c.nudged.Swap(false) && c.watch != nil && c.in.blocked && !c.in.own && c.sock != nil
	if c.watch != nil && !young && c.watch.Gone() {
		return ErrWatchGone
	}
	c.in.armed, c.in.near, c.in.own = c.readTarget(now), c.watch != nil, true
	if err := c.setReadTimer(c.in.armed); err != nil || !young {
		return err
	}
	// The timer was of an earlier wait. With many connections most are, and this
	// one has not lasted for long enough to look at the socket and the Watcher.
	if err := c.sock.AwaitRead(); !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return c.readExpired()
}

// readTarget says when the timer ought to fire, 0 for never.
func (c *Conn) readTarget(now int64) int64 {
	t := c.in.by
	if c.watch != nil && (t == 0 || t > now+watchEvery) {
		t = now + watchEvery
	}
	return t
}

// armRead is called just before a read blocks.
func (c *Conn) armRead() {
	c.in.blocked = true
	if c.in.by == 0 && c.watch == nil {
		return
	}
	// A timer that is armed soon enough needs no look at the clock.
	if c.in.armed != 0 && (c.in.by == 0 || c.in.armed <= c.in.by) && (c.watch == nil || c.in.near) {
		return
	}
	t := c.readTarget(Monotonic())
	if c.in.armed != 0 && c.in.armed <= t {
		return
	}
	c.in.armed, c.in.near, c.in.own = t, c.watch != nil, true
	_ = c.setReadTimer(t) // fails only on closed connections, as the wait will
}

func (c *Conn) setReadTimer(t int64) error {
	if c.sock != nil {
		return c.sock.SetReadBy(t)
	}
	if t == 0 {
		return c.nc.SetReadDeadline(time.Time{})
	}
	return c.nc.SetReadDeadline(wallTime(t))
}

// readReady is called by the runtime with the descriptor, first at once and
// then each time it may be readable, until it returns true.
func (c *Conn) readReady(fd uintptr) bool {
	switch c.in.mode {
	case readIdle:
		c.attemptIdle(int(fd))
	case readPoll:
		c.in.n, c.in.err = c.readInline(int(fd), c.in.p)
	case readAsk:
		return c.writeAsk(int(fd))
	case readSplice:
		c.in.n, c.in.err = c.in.pipe.fill(int(fd), c.in.size)
	default:
		c.in.n, c.in.err = c.readNow(int(fd), c.in.p)
	}
	if c.in.err != syscall.EAGAIN {
		return true
	}
	c.armRead()
	if c.in.mode == readIdle && c.interrupted.Load() {
		// Checked after arming: an Interrupt from now on overrides the timer.
		if c.attemptIdle(int(fd)); c.in.err == syscall.EAGAIN {
			c.in.err = ErrInterrupted
		}
		return true
	}
	return c.in.poll
}

// readNow reads what is there.
func (c *Conn) readNow(fd int, p []byte) (int, error) {
	if c.sock != nil {
		c.sock.Looks()
	}
	n, err := sysRead(fd, p)
	c.in.short = err == syscall.EAGAIN || err == nil && n > 0 && n < len(p)
	return n, err
}

// empty reports that the socket has nothing to read, if that is known without
// asking it.
func (c *Conn) empty() bool { return c.in.short && c.sock != nil && c.sock.Quiet() }

// attemptIdle tries to read into a pooled buffer; EAGAIN gives it back.
// With TLS the record layer is called from here, with reads that do not block:
// it may hold bytes of its own, so that waiting for the socket first could wait
// for ever.
func (c *Conn) attemptIdle(fd int) {
	if c.tls == nil && c.empty() && !c.interrupted.Load() { // who is interrupted takes what has come, heard of or not
		c.in.n, c.in.err = 0, syscall.EAGAIN
		return
	}
	buf := bufpool.Get(c.in.size)
	c.in.n, c.in.err = c.readInline(fd, buf.B)
	if c.in.err == syscall.EAGAIN {
		buf.Release()
		return
	}
	c.in.idle = buf
}

// readInline reads what is there, through the record layer if there is one.
func (c *Conn) readInline(fd int, p []byte) (n int, err error) {
	if c.tls == nil {
		return c.readNow(fd, p)
	}
	c.in.fd = fd
	c.in.inline.Store(true)
	n, err = c.tls.Read(p)
	c.in.inline.Store(false)
	if n > 0 {
		err = nil // an error comes again with the next read
	}
	if err == errWouldBlock {
		err = syscall.EAGAIN
	}
	return n, err
}

// readGeneric serves connections without a descriptor.
func (c *Conn) readGeneric(p []byte) (int, error) {
	for {
		c.armRead()
		if c.in.mode == readIdle && c.interrupted.Load() {
			return 0, ErrInterrupted
		}
		n, err := c.nc.Read(p)
		if n > 0 || !IsTimeout(err) {
			return n, err
		}
		if err := c.readExpired(); err != nil {
			return 0, err
		}
	}
}

// Unread gives bytes back, to be read before those of the socket. The Conn
// keeps a copy. It is for bytes that a protocol in front (PROXY) read too far.
func (c *Conn) Unread(p []byte) {
	if len(p) > 0 {
		c.in.unread = append(append([]byte(nil), p...), c.in.unread...)
	}
}
