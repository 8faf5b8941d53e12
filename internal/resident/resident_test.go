package resident

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestMappings(t *testing.T) {
	const maps = `00400000-01727000 r-xp 00000000 fe:00 5266812                            /opt/my proxy
01727000-02ebb000 r--p 01327000 fe:00 5266812                            /opt/my proxy
02ebb000-03022000 rw-p 02abb000 fe:00 5266812                            /opt/my proxy
03022000-03073000 rw-p 00000000 00:00 0
c000000000-c000c00000 rw-p 00000000 00:00 0                              [anon: Go: heap]
7f10-7f00 r--p 00000000 fe:00 12 /opt/my proxy
zz-7f00 r--p 00000000 fe:00 12 /opt/my proxy
7ff0dc5f4000-7ff0dc61a000 r--p 00000000 fe:00 394031                     /usr/lib/x86_64-linux-gnu/libc.so.6
7ffd37b1a000-7ffd37b1c000 r-xp 00000000 00:00 0                          [vdso]
short`
	got := parse([]byte(maps), "/opt/my proxy")
	if want := []mapping{{0x400000, 0x1727000}, {0x1727000, 0x2ebb000}}; !slices.Equal(got, want) {
		t.Errorf("%x", got)
	}
	if got := parse([]byte(maps), "/proxy"); len(got) > 0 {
		t.Errorf("of another file: %x", got)
	}
}

// The process goes on with the pages that it needs, and has fewer.
func TestTrim(t *testing.T) {
	before := filePages(t)
	if err := Trim(); err != nil {
		t.Fatal(err)
	}
	if after := filePages(t); after >= before {
		t.Errorf("%d KiB of files were in memory, and %d KiB are", before, after)
	}
}

// filePages is how many KiB of files the process has in memory.
func filePages(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "RssFile:")
	number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
