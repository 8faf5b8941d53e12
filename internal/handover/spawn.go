package handover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// exitTimeout is how long a successor that gave up may take to end by itself.
const exitTimeout = 3 * time.Second

// Command starts a successor.
type Command struct {
	Path string
	Args []string
	// Refuse says why there can be no successor that was started like this one.
	Refuse string
}

// Self is the command that has started this process, with whatever binary is at
// its path by then.
func Self() (*Command, error) {
	path, err := exec.LookPath(os.Args[0])
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot find the binary to upgrade to: %w", err)
	}
	return &Command{Path: path, Args: os.Args[1:]}, nil
}

// Upgrade starts a successor and hands over to it. After an error this process
// goes on, and the successor is gone.
func (g *Giver) Upgrade(ctx context.Context) (Yielded, error) {
	y, err := g.upgrade(ctx)
	if err != nil {
		g.opt.Log.Error("the upgrade has failed; this process goes on", "error", err)
	}
	return y, err
}

func (g *Giver) upgrade(ctx context.Context) (Yielded, error) {
	cmd := g.opt.Command
	switch {
	case cmd == nil:
		return Yielded{}, errors.New("this gateway cannot start its own successor")
	case cmd.Refuse != "":
		return Yielded{}, errors.New(cmd.Refuse)
	}
	if err := g.claim(); err != nil {
		return Yielded{}, err
	}
	c, process, err := cmd.start()
	if err != nil {
		g.unclaim()
		return Yielded{}, err
	}
	c.pid = process.Pid
	stop := context.AfterFunc(ctx, c.close)
	y, err := g.giveChild(c)
	if err != nil {
		stop()
		c.close()
		g.unclaim()
		return Yielded{}, fmt.Errorf("the new process (%d) %s: %w", process.Pid, await(process), err)
	}
	_ = process.Release()
	go func() {
		defer g.callers.Done()
		defer stop()
		defer c.close()
		g.report(c)
	}()
	return y, nil
}

// giveChild waits for the child's hello and gives.
func (g *Giver) giveChild(c *channel) (Yielded, error) {
	if err := g.setWith(c); err != nil {
		return Yielded{}, err
	}
	hello, _, err := c.receive(g.opt.Patience)
	if closed := g.setWith(nil); closed != nil {
		err = closed
	}
	switch {
	case over(err):
		return Yielded{}, errEnded
	case err != nil:
	case hello.Kind == kindFailed:
		return Yielded{}, errors.New(hello.Error)
	case hello.Kind != kindHello || hello.Protocol != Protocol:
		err = errors.New(protocolError(hello.Protocol))
	}
	if err != nil {
		_ = c.send(&message{Kind: kindRefuse, Error: err.Error()})
		return Yielded{}, err
	}
	if err := g.give(c, hello, true); err != nil {
		return Yielded{}, err
	}
	return Yielded{PID: c.pid, Version: hello.Version, Child: true}, nil
}

// start runs the command with one end of a socket pair.
func (cmd *Command) start() (*channel, *os.Process, error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "handover"), os.NewFile(uintptr(pair[1]), "handover")
	defer ours.Close()
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, nil, err
	}
	child := exec.CommandContext(context.Background(), cmd.Path, cmd.Args...) // it outlives us
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	child.ExtraFiles = []*os.File{theirs} // descriptor 3
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, Variable+"=") {
			child.Env = append(child.Env, v)
		}
	}
	child.Env = append(child.Env, Variable+"=3")
	if err := child.Start(); err != nil {
		_ = conn.Close()
		return nil, nil, fmt.Errorf("cannot start the new binary: %w", err)
	}
	return &channel{conn: conn.(*net.UnixConn)}, child.Process, nil
}

// await gives a process that gave up the time to end, ends it otherwise, and
// says how it went.
func await(p *os.Process) string {
	kill := time.AfterFunc(exitTimeout, func() { _ = p.Kill() })
	defer kill.Stop()
	state, err := p.Wait()
	if err != nil {
		return "is lost"
	}
	if s := state.String(); s != "" {
		return "ended with " + s
	}
	return "ended"
}
