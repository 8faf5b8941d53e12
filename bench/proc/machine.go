package proc

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Machine is what a reader needs to judge figures, and nothing that names the
// machine.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Kernel string `json:"kernel"`
	Memory int64  `json:"memoryBytes"`
	OS     string `json:"os"`
}

// Describe reads it from the kernel.
func Describe() Machine {
	m := Machine{Cores: runtime.NumCPU(), OS: "Linux"}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		m.CPU, m.Cores = parseCPUInfo(string(text))
	}
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		// What follows the version's numbers names a build, not a kernel.
		m.Kernel, _, _ = strings.Cut(unix.ByteSliceToString(uts.Release[:]), "-")
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		m.Memory = int64(info.Totalram) * int64(info.Unit)
	}
	if text, err := os.ReadFile("/etc/os-release"); err == nil {
		for line := range strings.Lines(string(text)) {
			if v, ok := strings.CutPrefix(line, "PRETTY_NAME="); ok {
				m.OS = strings.Trim(strings.TrimSpace(v), `"`)
			}
		}
	}
	return m
}

// parseCPUInfo takes the model of the first core and counts the cores.
func parseCPUInfo(text string) (model string, cores int) {
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(name) {
		case "processor":
			cores++
		case "model name":
			model = strings.Join(strings.Fields(value), " ")
		}
	}
	return model, cores
}

// Version runs a command that prints its version and returns the first word of
// the output that holds a digit and a dot; "unknown" if there is none.
func Version(ctx context.Context, name string, args ...string) string {
	// NGINX writes it to stderr, wrk exits with 1: only the text counts.
	out, _ := exec.CommandContext(ctx, name, args...).CombinedOutput()
	return parseVersion(string(out))
}

func parseVersion(out string) string {
	for _, word := range strings.FieldsFunc(out, func(r rune) bool { return strings.ContainsRune(" /\n\t", r) }) {
		if strings.ContainsAny(word, "0123456789") && strings.Contains(word, ".") {
			return strings.TrimPrefix(word, "go")
		}
	}
	return "unknown"
}
