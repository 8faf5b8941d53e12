package mesh

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/telemetry/metric"
)

// What every family looks like passes the linter of Prometheus: names, units, help.
func TestPromtoolFindsNothing(t *testing.T) {
	if _, err := exec.LookPath("promtool"); err != nil {
		t.Skip("promtool is not here: scripts/setup installs it")
	}
	all, err := os.Open("../../internal/telemetry/metric/testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	check := exec.Command("promtool", "check", "metrics")
	check.Stdin = all
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}

// Prometheus' own parsers read what a registry says in all three formats, and label values
// come out as they went in, whatever is in them.
func TestPrometheusReadsHostileLabels(t *testing.T) {
	if _, err := exec.LookPath("prometheus"); err != nil {
		t.Skip("prometheus is not here: scripts/setup installs it")
	}
	hostile := []string{
		`quote " in it`, `back\slash`, `ends with \`, "new\nline", `\n`, `{a="b"}`, "} 1 # {trace_id=\"x\"} 2", "# EOF", "tab\tand\rreturn", "", " blanks ", "ünïcode 漢字 🙂", "\u2028", "a=\"b\",c=\"d\"",
	}
	r := metric.New(metric.Options{})
	r.SetDependencies(func(yield func(kind, owner, name string, up bool)) {
		for i, name := range hostile {
			yield("keys", fmt.Sprint(i), name, true)
		}
	})
	r.SetSinks(func(yield func(metric.Sink)) {
		yield(metric.Sink{Name: "default/" + hostile[0], Signal: "logs", Sent: 7, ItemsLimit: 10, BytesLimit: 10, LastSent: time.Now(), LastFailed: time.Now()})
	})
	var targets []string
	for _, accept := range []string{
		"text/plain;version=0.0.4", "application/openmetrics-text;version=1.0.0", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			q.Header.Set("Accept", accept)
			r.Handler().ServeHTTP(w, q)
		}))
		t.Cleanup(s.Close)
		targets = append(targets, s.Listener.Addr().String())
	}
	rules, err := filepath.Abs("../../deploy/prometheus/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p := startPrometheus(t, rules, targets[0], targets[1], targets[2])
	for _, at := range targets {
		eventually(t, "all of it at "+at, func() error {
			if err := p.answers(fmt.Sprintf("up{instance=%q} == 1", at)); err != nil {
				return fmt.Errorf("the scrape fails: %w", err)
			}
			return p.answers(fmt.Sprintf("gridway_telemetry_sink_queue_limit_records{instance=%q} == 10", at))
		})
		var got []map[string]string
		if err := p.ask("series", url.Values{"match[]": {fmt.Sprintf("gridway_dependency_up{instance=%q}", at)}}, &got); err != nil {
			t.Fatal(err)
		}
		byOwner := map[string]string{}
		for _, labels := range got {
			byOwner[labels["owner"]] = labels["name"]
		}
		var wrong []error
		for i, want := range hostile {
			if name, there := byOwner[fmt.Sprint(i)]; !there || name != want {
				wrong = append(wrong, fmt.Errorf("%q became %q", want, name))
			}
		}
		if len(got) != len(hostile) || len(wrong) > 0 {
			t.Errorf("%s: %d series of %d: %v", at, len(got), len(hostile), errors.Join(wrong...))
		}
	}
}
