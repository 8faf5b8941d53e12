package supervise

import (
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// terminal is the controlling terminal, of which the application has the
// foreground: it reads what is typed, and what the terminal sends (Ctrl-C,
// Ctrl-Z, a change of size) comes to it once, from the terminal, and not a second
// time from here.
type terminal struct{ fd int }

// foreground is the terminal of this process if it is in its foreground and
// nobody else is: in a pipeline others may want the terminal. Else it is nil.
func foreground() *terminal {
	for _, fd := range []int{int(os.Stdin.Fd()), int(os.Stdout.Fd())} {
		if pgrp, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP); err != nil || pgrp != unix.Getpgrp() {
			return nil
		}
	}
	return &terminal{int(os.Stdin.Fd())}
}

// give puts a process group into the foreground. Whoever does that from the
// background gets SIGTTOU, unless it is blocked (tcsetpgrp(3)).
func (t *terminal) give(pgrp int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var block, before unix.Sigset_t
	const bits = 8 * 8
	n := int(syscall.SIGTTOU) - 1
	block.Val[n/bits] = 1 << (n % bits)
	if unix.PthreadSigmask(unix.SIG_BLOCK, &block, &before) != nil {
		return
	}
	_ = unix.IoctlSetPointerInt(t.fd, unix.TIOCSPGRP, pgrp)
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)
}

// take puts this process back into the foreground.
func (t *terminal) take() {
	if t != nil {
		t.give(unix.Getpgrp())
	}
}

// suspend is for an application that its terminal has stopped (Ctrl-Z): this
// process stops, too, so that the shell sees its job stopped. As soon as the shell
// continues it, so does the application, with the terminal if this is in the
// foreground again. One that others stopped stays so.
func (t *terminal) suspend(app int, by syscall.Signal) {
	if t == nil || by != syscall.SIGTSTP && by != syscall.SIGTTIN && by != syscall.SIGTTOU {
		return
	}
	t.take()
	_ = syscall.Kill(syscall.Getpid(), syscall.SIGSTOP)
	if pgrp, err := unix.IoctlGetInt(t.fd, unix.TIOCGPGRP); err == nil && pgrp == unix.Getpgrp() {
		t.give(app)
	}
	_ = syscall.Kill(-app, syscall.SIGCONT)
}
