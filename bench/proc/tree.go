// Package proc reads from Linux what a process and its children cost, and says
// what machine this is. It owns no goroutines. Only the packages of bench
// import it.
package proc

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Tree is pid and all its descendants. Processes that end meanwhile are left out.
func Tree(pid int) ([]int, error) {
	pids := []int{pid}
	for i := 0; i < len(pids); i++ {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pids[i]))
		if err != nil {
			return nil, err
		}
		for _, t := range tasks {
			text, err := os.ReadFile(t)
			if gone(err) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("children of %d: %w", pids[i], err)
			}
			for _, f := range strings.Fields(string(text)) {
				child, err := strconv.Atoi(f)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", t, err)
				}
				pids = append(pids, child)
			}
		}
	}
	return pids, nil
}

// CPU is the time that all threads of pid and its descendants have run, in
// user mode and in the kernel, to the nanosecond. Time of threads and processes
// that ended is not in it; proxies keep theirs.
func CPU(pid int) (time.Duration, error) {
	pids, err := Tree(pid)
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, p := range pids {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p))
		if err != nil {
			return 0, err
		}
		if len(tasks) == 0 && p == pid {
			return 0, fmt.Errorf("process %d is gone", pid)
		}
		for _, t := range tasks {
			text, err := os.ReadFile(t)
			if gone(err) {
				continue
			}
			if err != nil {
				return 0, err
			}
			d, err := parseSchedstat(string(text))
			if err != nil {
				return 0, fmt.Errorf("%s: %w", t, err)
			}
			sum += d
		}
	}
	return sum, nil
}

// parseSchedstat takes the first field: nanoseconds on a CPU.
func parseSchedstat(text string) (time.Duration, error) {
	fields := strings.Fields(text)
	if len(fields) != 3 {
		return 0, fmt.Errorf("schedstat has %d fields, want 3", len(fields))
	}
	ns, err := strconv.ParseInt(fields[0], 10, 64)
	return time.Duration(ns), err
}

// RSS is the resident memory of pid and its descendants, in bytes. What
// processes share is counted for each.
func RSS(pid int) (int64, error) {
	pids, err := Tree(pid)
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, p := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p))
		if gone(err) && p != pid {
			continue
		}
		if err != nil {
			return 0, err
		}
		kib, err := parseRSS(string(text))
		if err != nil {
			return 0, fmt.Errorf("status of %d: %w", p, err)
		}
		sum += kib << 10
	}
	return sum, nil
}

// parseRSS takes VmRSS, in KiB; zombies have none.
func parseRSS(status string) (int64, error) {
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			return strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		}
	}
	return 0, nil
}

// gone tells that a process ended while it was looked at.
func gone(err error) bool {
	return errors.Is(err, os.ErrNotExist) || (err != nil && strings.Contains(err.Error(), "no such process"))
}
