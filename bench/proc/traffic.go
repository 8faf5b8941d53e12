package proc

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// Traffic is what has gone over TCP connections, as their server sees it.
type Traffic struct {
	Conns                   int
	BytesIn, BytesOut       float64
	SegmentsIn, SegmentsOut float64 // with data
}

// TrafficOf is what has gone over the connections that are open to a local port.
func TrafficOf(ctx context.Context, port string) (Traffic, error) {
	out, err := exec.CommandContext(ctx, "ss", "-tinH", "state", "established", "sport", "=", ":"+port).Output()
	if err != nil {
		return Traffic{}, fmt.Errorf("ss: %w", err)
	}
	return parseTraffic(string(out)), nil
}

// parseTraffic adds up the words NAME:VALUE of ss, which leaves out those that are 0.
func parseTraffic(text string) (t Traffic) {
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "\t") {
			t.Conns++
			continue
		}
		for _, word := range strings.Fields(line) {
			name, value, _ := strings.Cut(word, ":")
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				continue
			}
			switch name {
			case "bytes_received":
				t.BytesIn += n
			case "bytes_sent":
				t.BytesOut += n
			case "data_segs_in":
				t.SegmentsIn += n
			case "data_segs_out":
				t.SegmentsOut += n
			}
		}
	}
	return t
}
