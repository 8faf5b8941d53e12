package load

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// routesScript makes wrk walk over the paths of many routes.
//
//go:embed routes.lua
var routesScript []byte

// callersScript makes wrk send the keys of many callers.
//
//go:embed callers.lua
var callersScript []byte

// jsonScript makes wrk post a document.
//
//go:embed json.lua
var jsonScript []byte

// Wrk runs wrk with one thread for d (whole seconds) against t. A target with
// Upload is not for wrk. The scratch folder takes its script.
func Wrk(ctx context.Context, t Target, conns int, d time.Duration, scratch string) (Result, error) {
	if t.Upload > 0 {
		return Result{}, errors.New("wrk is not used for uploads")
	}
	ctx, cancel := context.WithTimeout(ctx, d+timeout)
	defer cancel()
	args := []string{"-t1", "-c" + strconv.Itoa(conns), "-d" + strconv.Itoa(int(d.Seconds())) + "s", "--timeout", "10s"}
	for _, h := range t.Headers {
		args = append(args, "-H", h)
	}
	if t.Close {
		args = append(args, "-H", "Connection: close")
	}
	scheme := "http"
	if t.TLS != nil {
		scheme = "https"
	}
	path, script, argument := t.Path, []byte(nil), ""
	switch {
	case t.Routes > 0:
		path, script, argument = "/r0/x", routesScript, strconv.Itoa(t.Routes)
	case t.Callers > 0:
		script, argument = callersScript, strconv.Itoa(t.Callers)
	case t.JSON != "":
		script, argument = jsonScript, t.JSON
	}
	if script != nil {
		file := filepath.Join(scratch, "wrk.lua")
		if err := os.WriteFile(file, script, 0o644); err != nil {
			return Result{}, err
		}
		args = append(args, "-s", file)
	}
	args = append(args, scheme+"://"+t.Addr+path)
	if script != nil {
		args = append(args, "--", argument)
	}
	out, err := exec.CommandContext(ctx, "wrk", args...).CombinedOutput()
	if err != nil {
		return Result{}, fmt.Errorf("wrk: %w: %s", err, out)
	}
	return parseWrk(string(out))
}

var (
	wrkRequests = regexp.MustCompile(`(?m)^\s+(\d+) requests in ([\d.]+)(us|ms|s|m),`)
	wrkSocket   = regexp.MustCompile(`Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)`)
	wrkStatus   = regexp.MustCompile(`Non-2xx or 3xx responses: (\d+)`)
)

// parseWrk reads wrk's report.
func parseWrk(out string) (Result, error) {
	m := wrkRequests.FindStringSubmatch(out)
	if m == nil {
		return Result{}, fmt.Errorf("wrk: no result in %q", out)
	}
	var r Result
	var err error
	if r.Requests, err = strconv.ParseInt(m[1], 10, 64); err != nil {
		return r, err
	}
	if r.Took, err = time.ParseDuration(m[2] + m[3]); err != nil {
		return r, err
	}
	for _, re := range []*regexp.Regexp{wrkSocket, wrkStatus} {
		if m := re.FindStringSubmatch(out); m != nil {
			for _, s := range m[1:] {
				n, err := strconv.ParseInt(s, 10, 64)
				if err != nil {
					return r, err
				}
				r.Errors += n
			}
			r.First = errors.Join(r.First, errors.New(m[0]))
		}
	}
	if m := wrkStatus.FindStringSubmatch(out); m != nil {
		bad, _ := strconv.ParseInt(m[1], 10, 64)
		r.Requests -= bad // wrk counts them as requests
	}
	return r, nil
}
