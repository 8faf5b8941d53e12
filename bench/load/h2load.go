package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// H2Load runs h2load with one thread for d (whole seconds) against t, with
// t.Streams requests at a time on each connection. The scratch folder takes
// what it sends.
func H2Load(ctx context.Context, t Target, conns int, d time.Duration, scratch string) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, d+timeout)
	defer cancel()
	args := []string{"-t1", "-c" + strconv.Itoa(conns), "-m" + strconv.Itoa(max(1, t.Streams)), "-D" + strconv.Itoa(int(d.Seconds()))}
	for _, h := range t.fields() {
		args = append(args, "-H", h)
	}
	if t.Traffic == GRPC {
		file := filepath.Join(scratch, "message.grpc")
		if err := os.WriteFile(file, grpcMessage, 0o644); err != nil {
			return Result{}, err
		}
		args = append(args, "-d", file)
	}
	out, err := exec.CommandContext(ctx, "h2load", append(args, t.url())...).CombinedOutput()
	if err != nil {
		return Result{}, fmt.Errorf("h2load: %w: %s", err, out)
	}
	return parseH2Load(string(out))
}

var (
	h2loadTook     = regexp.MustCompile(`finished in ([\d.]+(?:us|ms|s|m)),`)
	h2loadRequests = regexp.MustCompile(`requests: \d+ total, \d+ started, \d+ done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout`)
	h2loadStatus   = regexp.MustCompile(`status codes: \d+ 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx`)
)

// parseH2Load reads h2load's report. It counts any whole answer as a success;
// here only status 2xx is one.
func parseH2Load(out string) (r Result, err error) {
	took, requests, status := h2loadTook.FindStringSubmatch(out), h2loadRequests.FindStringSubmatch(out), h2loadStatus.FindStringSubmatch(out)
	if took == nil || requests == nil || status == nil {
		return r, fmt.Errorf("h2load: no result in %q", out)
	}
	if r.Took, err = time.ParseDuration(took[1]); err != nil {
		return r, err
	}
	r.Errors = number(status[1]) + number(status[2]) + number(status[3])
	r.Requests = number(requests[1]) - r.Errors
	r.Errors += number(requests[2])
	if r.Errors > 0 {
		r.First = errors.New(strings.TrimSpace(requests[0]))
	}
	return r, nil
}

// number is one that a regular expression has found.
func number(digits string) int64 {
	n, _ := strconv.ParseInt(digits, 10, 64)
	return n
}
