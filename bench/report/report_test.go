package report

import (
	"encoding/xml"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gridway/gridway/bench/stats"
)

func sample() *Results {
	proxy := func(label string, rounds ...float64) Proxy {
		return Proxy{Label: label, CPU: stats.Of(rounds), CPURounds: rounds, P50: 120 * time.Microsecond, P99: 2 * time.Millisecond, RSS: 30 << 20}
	}
	return &Results{
		Date: time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC), Versions: map[string]string{"nginx": "1.22.1"},
		Cases: []Case{
			{Name: "plain-64", Title: "GET 1 KiB <64>", Conns: 64, Proxies: []Proxy{
				proxy("gridway", 15000, 30000, 14000), proxy("nginx", 20000, 40000, 20000), proxy("haproxy", 21000, 41000, 22000), proxy("reverseproxy", 90000, 180000, 80000),
			}},
			{Name: "tls-64", Title: "TLS", Proxies: []Proxy{proxy("gridway", 100), proxy("nginx", 100)}},
		},
		Measures: []Measure{{Name: "reload-failures", Title: "failures", Value: stats.Of([]float64{0})}, {Name: "change-file", Unit: "ms", Value: stats.Of([]float64{31})}},
	}
}

func TestAims(t *testing.T) {
	got := map[string]Verdict{}
	for _, a := range Aims(sample()) {
		got[a.What] = a.Verdict
	}
	for what, want := range map[string]Verdict{
		"plain HTTP/1.1, 64 connections, against the better of NGINX and HAProxy": Met,
		"plain HTTP/1.1, 1 connections, against the better of NGINX and HAProxy":  NotMeasured,
		"TLS 1.3, against the better of NGINX and HAProxy":                        Missed,
		"against net/http's ReverseProxy":                                         Met,
		"failed requests over the reloads under load":                             Met,
		"one changed route among 10,000 serves, one file":                         Missed,
		"idle keep-alive connection":                                              NotMeasured,
	} {
		if got[what] != want {
			t.Errorf("%s: %q, want %q", what, got[what], want)
		}
	}
	if !AnyMissed(Aims(sample())) {
		t.Error("a missed aim was not noticed")
	}
	if AnyMissed(Aims(&Results{})) {
		t.Error("what was not measured is not missed")
	}
}

func TestReplaceKeepsTheRest(t *testing.T) {
	page := "before\n" + begin + "\nold\n" + end + "\nafter\n"
	got, err := replace([]byte(page), "new\n")
	if err != nil {
		t.Fatal(err)
	}
	if want := "before\n" + begin + "\n\nnew\n\n" + end + "\nafter\n"; string(got) != want {
		t.Errorf("got %q", got)
	}
	again, err := replace(got, "new\n")
	if err != nil || string(again) != string(got) {
		t.Errorf("a second time: %q, %v", again, err)
	}
	if _, err := replace([]byte("no markers"), "x"); err == nil {
		t.Error("a page without markers was taken")
	}
}

func TestMarkdownAndText(t *testing.T) {
	r := sample()
	text := r.Markdown("images/performance.svg")
	for _, want := range []string{"4 March 2026", "nginx 1.22.1", "| GET 1 KiB <64> | 15.0 | 20.0 | 22.0 | 90.0 | 0.75 (0.70–0.75) |", "MISSED"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if got := r.Cases[0].Text(); !strings.Contains(got, "0.17") {
		t.Errorf("no ratio to reverseproxy in\n%s", got)
	}
}

func TestChartIsXML(t *testing.T) {
	d := xml.NewDecoder(strings.NewReader(sample().Chart()))
	bars := 0
	for {
		tok, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := tok.(xml.StartElement); ok && e.Name.Local == "rect" {
			bars++
		}
	}
	if want := 6 + 4 + 1; bars != want { // bars, legend, background
		t.Errorf("%d rectangles, want %d", bars, want)
	}
}

func TestSaveAndLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.json")
	want := sample()
	if err := want.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestDigits(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.123: "0.12", 9.994: "9.99", 9.996: "10.0", 99.94: "99.9", 99.96: "100", 12345.6: "12346"} {
		if got := digits(v); got != want {
			t.Errorf("digits(%v) = %s, want %s", v, got, want)
		}
	}
}
