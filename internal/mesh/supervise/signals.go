package supervise

import (
	"os"
	"os/signal"
	"syscall"
)

// Real-time signals, which some programs take as commands. The C libraries and Go
// keep those below for themselves.
const (
	firstRealTime = 35
	lastRealTime  = 64
)

// signals are those that are passed on to the application.
type signals struct {
	raw  chan os.Signal
	all  chan syscall.Signal
	over chan struct{}
}

// notify begins to take signals. Those that this process was told to ignore
// (nohup) stay ignored, here and in the application.
func notify() *signals {
	wanted := []os.Signal{
		syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2,
		syscall.SIGWINCH, syscall.SIGALRM, syscall.SIGTSTP, syscall.SIGCONT,
	}
	for s := syscall.Signal(firstRealTime); s <= lastRealTime; s++ {
		wanted = append(wanted, s)
	}
	s := &signals{make(chan os.Signal, 64), make(chan syscall.Signal), make(chan struct{})}
	for _, w := range wanted {
		if !signal.Ignored(w) {
			signal.Notify(s.raw, w)
		}
	}
	go s.pass()
	return s
}

func (s *signals) pass() {
	for {
		select {
		case raw := <-s.raw:
			select {
			case s.all <- raw.(syscall.Signal):
			case <-s.over:
				return
			}
		case <-s.over:
			return
		}
	}
}

func (s *signals) stop() {
	signal.Stop(s.raw)
	close(s.over)
}

// ends tells whether a signal asks for the orderly end. SIGQUIT does not: for
// some programs it is a request for a dump, and they go on.
func ends(s syscall.Signal) bool { return s == syscall.SIGTERM || s == syscall.SIGINT }
