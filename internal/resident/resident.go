// Package resident keeps small what a process has in memory while it has little to do.
//
// It imports nothing of Gridway and owns no goroutines.
package resident

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Trim gives back what a start has taken: the heap that is free, and the pages of the
// program's own file that were read for it, of flags, descriptors and tables that are not
// looked at again. Those that are come back, by a fault each that needs no disk while the
// file is in the system's cache.
//
// It takes some milliseconds, and is for once, when a process serves.
func Trim() error {
	debug.FreeOSMemory()
	list, err := mappings()
	if err != nil {
		return fmt.Errorf("the mappings of this process: %w", err)
	}
	for _, m := range list {
		// The pages are those of the file, which nobody can have written to.
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("madvise: %w", errno)
		}
	}
	return nil
}

type mapping struct{ from, to uintptr }

// mappings are those of the program's file that are only read.
func mappings() ([]mapping, error) {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return nil, err
	}
	return parse(text, exe), nil
}

// parse reads /proc/PID/maps (proc_pid_maps(5)): "FROM-TO PERMISSIONS OFFSET DEVICE INODE
// PATH". What it does not understand is left out.
func parse(text []byte, exe string) (out []mapping) {
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		fields := strings.Fields(s.Text())
		if len(fields) < 6 || !strings.HasPrefix(fields[1], "r-") || !strings.HasSuffix(s.Text(), " "+exe) {
			continue
		}
		low, high, _ := strings.Cut(fields[0], "-")
		from, err := strconv.ParseUint(low, 16, strconv.IntSize)
		to, err2 := strconv.ParseUint(high, 16, strconv.IntSize)
		if err == nil && err2 == nil && from < to {
			out = append(out, mapping{uintptr(from), uintptr(to)})
		}
	}
	return out
}
