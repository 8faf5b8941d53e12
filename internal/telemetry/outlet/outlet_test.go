package outlet_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/telemetry/accesslog"
	"github.com/gridway/gridway/internal/telemetry/export"
	"github.com/gridway/gridway/internal/telemetry/otlp"
	"github.com/gridway/gridway/internal/telemetry/otlp/otlptest"
	"github.com/gridway/gridway/internal/telemetry/outlet"
)

func policy(key uint64, a ir.AccessLogPolicy) *ir.Telemetry {
	return &ir.Telemetry{Key: key, AccessLog: &a}
}

func entry(n int) *accesslog.Entry {
	return &accesslog.Entry{Start: time.Unix(0, 0), Status: n, Path: []byte("/p"), Method: []byte("GET"), RequestID: fmt.Append(nil, n)}
}

func TestSampling(t *testing.T) {
	var out bytes.Buffer
	s := outlet.New(outlet.Options{Main: accesslog.New(&out, accesslog.Options{})})
	defer s.Close()
	if s.Of(nil) != nil || s.Of(&ir.Telemetry{}) != nil {
		t.Error("there is no policy")
	}
	p := s.Of(policy(1, ir.AccessLogPolicy{Sampling: []ir.LogSampling{{Least: 204, Most: 204, Rate: ir.RateOfAll}, {Least: 200, Most: 299, Rate: 0}, {Least: 300, Most: 399, Rate: ir.RateOfAll / 10}}}))
	if p != s.Of(policy(1, ir.AccessLogPolicy{})) {
		t.Error("a policy is made once")
	}
	if p.Wants(200) || !p.Wants(204) || !p.Wants(500) || !p.Wants(0) {
		t.Error("the first that has the status counts, and what none has is logged")
	}
	n := 0
	for range 10_000 {
		if p.Wants(302) {
			n++
		}
	}
	if n < 700 || n > 1300 {
		t.Errorf("%d of 10000 at a rate of 10 %%", n)
	}
	if s.Of(policy(2, ir.AccessLogPolicy{Off: true})).Wants(500) || s.Of(policy(3, ir.AccessLogPolicy{OwnSinks: true})).Wants(500) {
		t.Error("nothing is logged")
	}
}

// One entry goes to a file, to the standard output and to a receiver of OTLP, and not to the
// process's own log.
func TestSinks(t *testing.T) {
	r := otlptest.HTTP(t, "", nil)
	x := export.New(export.Options{})
	list := []*ir.TelemetrySink{
		{Name: "ns/otlp", QueueItems: 10, QueueBytes: 1 << 20, OTLP: &ir.OTLPSink{HTTP: true, Address: r.Address, Timeout: time.Second, BatchDelay: time.Millisecond}},
		{Name: "ns/file", File: &ir.FileSink{Path: filepath.Join(t.TempDir(), "log"), MaxBytes: 1 << 20, MaxFiles: 1}},
		{Name: "ns/out", StandardOutput: true},
	}
	if err := x.Apply(list); err != nil {
		t.Fatal(err)
	}
	var own, out bytes.Buffer
	s := outlet.New(outlet.Options{
		Main: accesslog.New(&own, accesslog.Options{}), Exporter: x, Stdout: &out, Resource: otlp.NewResource("1"),
	})
	if err := s.Apply(list); err != nil {
		t.Fatal(err)
	}
	p := s.Of(policy(1, ir.AccessLogPolicy{OwnSinks: true, Sinks: []string{"ns/otlp", "ns/file", "ns/out", "ns/none"}, Fields: []ir.LogField{{Name: "status"}}}))
	p.Log(entry(201))
	s.Close()
	x.Close(t.Context())
	const want = `{"status":201}` + "\n"
	text, err := os.ReadFile(list[1].File.Path)
	if err != nil || string(text) != want || out.String() != want || own.Len() > 0 {
		t.Errorf("file %q (%v), standard output %q, own log %q", text, err, out.String(), own.String())
	}
	if got := r.Records(t); len(got) != 1 || got[0].Attributes[0].GetValue().GetIntValue() != 201 {
		t.Errorf("the receiver has %v", got)
	}
}

// Every line that was written is in one of the files, once, and there are no more files than
// there may be.
func TestRotation(t *testing.T) {
	dir := t.TempDir()
	cfg := &ir.FileSink{Path: filepath.Join(dir, "access.log"), MaxBytes: 100, MaxFiles: 1000, Compress: true}
	f, err := outlet.OpenFile(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for i := range 50 {
		text := fmt.Sprintf("line %d of a log that is rotated\n", i)
		want.WriteString(text)
		if _, err := f.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if got := content(t, dir); got != want.String() {
		t.Errorf("got %q", got)
	}
	names, _ := filepath.Glob(filepath.Join(dir, "access.log-*.gz"))
	if len(names) != 16 {
		t.Errorf("%d compressed files", len(names))
	}
	cfg.MaxFiles = 3 // and those of others stay
	other := filepath.Join(dir, "access.log-other")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if f, err = outlet.OpenFile(cfg, nil); err != nil {
		t.Fatal(err)
	}
	_, _ = f.Write(bytes.Repeat([]byte("x"), 200))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if names, _ = filepath.Glob(filepath.Join(dir, "access.log-2*")); len(names) != 3 {
		t.Errorf("%d files are kept", len(names))
	}
	if _, err := os.Stat(other); err != nil {
		t.Error(err)
	}
}

// content is that of all files, the oldest first.
func content(t *testing.T, dir string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "access.log-*"))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, name := range append(names, filepath.Join(dir, "access.log")) {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		var in io.Reader = file
		if strings.HasSuffix(name, ".gz") {
			if in, err = gzip.NewReader(file); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := io.Copy(&out, in); err != nil {
			t.Fatal(err)
		}
		_ = file.Close()
	}
	return out.String()
}

// What somebody else renamed is begun anew, and a file that cannot be rotated goes on.
func TestReopenAndFailure(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "access.log")
	cfg := &ir.TelemetrySink{Name: "ns/file", File: &ir.FileSink{Path: path, MaxBytes: 1 << 20, MaxFiles: 5}}
	s := outlet.New(outlet.Options{})
	if err := s.Apply([]*ir.TelemetrySink{cfg}); err != nil {
		t.Fatal(err)
	}
	p := s.Of(policy(1, ir.AccessLogPolicy{OwnSinks: true, Sinks: []string{"ns/file"}, Fields: []ir.LogField{{Name: "status"}}}))
	p.Log(entry(1))
	if err := s.Reopen(context.Background()); err != nil { // it is written
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := s.Reopen(context.Background()); err != nil {
		t.Fatal(err)
	}
	p.Log(entry(2))
	s.Close()
	for name, want := range map[string]string{path + ".1": "{\"status\":1}\n", path: "{\"status\":2}\n"} {
		if got, err := os.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	err := outlet.New(outlet.Options{}).Apply([]*ir.TelemetrySink{{Name: "ns/no", File: &ir.FileSink{Path: filepath.Join(dir, "none", "log")}}})
	if err == nil || !strings.Contains(err.Error(), "telemetry sink ns/no: open access log") {
		t.Errorf("got %v", err)
	}
	if err := outlet.New(outlet.Options{}).Apply([]*ir.TelemetrySink{{Name: "ns/null", File: &ir.FileSink{Path: os.DevNull}}}); err == nil {
		t.Error("/dev/null is no regular file")
	}
}
