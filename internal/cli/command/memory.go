package command

import (
	"strconv"
	"strings"

	"github.com/gridway/gridway/internal/telemetry/trace"
)

var memoryUnits = []struct {
	name string
	size int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30}}

// TelemetryMemory is how much is remembered of requests, in bytes; 0 is nothing.
func (s *Proxy) TelemetryMemory(otherwise int) (int, error) {
	switch s.Memory {
	case "":
		return otherwise, nil
	case "off":
		return 0, nil
	}
	number, unit := s.Memory, int64(1)
	for _, u := range memoryUnits {
		if rest, has := strings.CutSuffix(s.Memory, u.name); has {
			number, unit = rest, u.size
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > trace.MaxMemory/unit || n*unit < trace.MinMemory {
		return 0, Usagef("", "--telemetry-memory must be off or from 256KiB to 4GiB, as in 64MiB, not %q", s.Memory)
	}
	return int(n * unit), nil
}
