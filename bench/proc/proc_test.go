package proc

import (
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

func TestParseSchedstat(t *testing.T) {
	// Past 2^31, where an awk counts wrong.
	if d, err := parseSchedstat("98765432109876 123 45\n"); err != nil || d != 98765432109876 {
		t.Errorf("got %d, %v", d, err)
	}
	for _, bad := range []string{"", "1 2", "x 2 3"} {
		if _, err := parseSchedstat(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestParseRSS(t *testing.T) {
	if kib, err := parseRSS("Name:\tx\nVmHWM:\t  999 kB\nVmRSS:\t  1234 kB\nThreads:\t1\n"); err != nil || kib != 1234 {
		t.Errorf("got %d, %v", kib, err)
	}
	if kib, err := parseRSS("Name:\tx\nState:\tZ (zombie)\n"); err != nil || kib != 0 {
		t.Errorf("zombie: got %d, %v", kib, err)
	}
}

func TestParseCPUInfo(t *testing.T) {
	model, cores := parseCPUInfo("processor\t: 0\nmodel name\t: Some  CPU @ 2GHz\n\nprocessor\t: 1\nmodel name\t: Some  CPU @ 2GHz\n")
	if model != "Some CPU @ 2GHz" || cores != 2 {
		t.Errorf("got %q, %d", model, cores)
	}
}

func TestParseVersion(t *testing.T) {
	for out, want := range map[string]string{
		"nginx version: nginx/1.22.1\n":                                   "1.22.1",
		"HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.o": "2.6.12-1+deb12u4",
		"wrk debian/4.1.0-3+b2 [epoll] Copyright (C) 2012 Will Glozer":    "4.1.0-3+b2",
		"go version go1.26.8 linux/amd64\n":                               "1.26.8",
		"command not found\n":                                             "unknown",
	} {
		if got := parseVersion(out); got != want {
			t.Errorf("%q: got %q, want %q", out, got, want)
		}
	}
}

func TestTreeCountsChildren(t *testing.T) {
	// The shell's child burns CPU until its input ends.
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `sh -c 'while :; do :; done' & read x; kill $!; wait`)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { in.Close(); cmd.Wait() }()

	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		pids, err := Tree(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		cpu, err := CPU(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		rss, err := RSS(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		if len(pids) == 2 && slices.Contains(pids, cmd.Process.Pid) && cpu > 50*time.Millisecond && rss > 0 {
			return
		}
		select {
		case <-deadline.C:
			t.Fatalf("pids %v, CPU %v, RSS %d", pids, cpu, rss)
		case <-tick.C:
		}
	}
}

func TestGoneProcess(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if _, err := CPU(cmd.Process.Pid); err == nil {
		t.Error("no error for a process that ended")
	}
	if _, err := RSS(cmd.Process.Pid); !os.IsNotExist(err) {
		t.Errorf("got %v", err)
	}
}
