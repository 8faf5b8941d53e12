// Package report holds what the benchmark found and shows it: as JSON, as
// tables, as a section of docs/performance.md and as a chart, and compares it
// with what is aimed at. It measures nothing and owns no goroutines. Only bench
// imports it.
package report

import (
	"encoding/json"
	"os"
	"time"

	"github.com/gridway/gridway/bench/proc"
	"github.com/gridway/gridway/bench/stats"
)

// Results of one run.
type Results struct {
	Date     time.Time         `json:"date"`
	Quick    bool              `json:"quick"`
	Filter   string            `json:"filter,omitempty"` // of the cases that were run
	Machine  proc.Machine      `json:"machine"`
	Versions map[string]string `json:"versions"`
	Cases    []Case            `json:"cases"`
	Measures []Measure         `json:"measures"`
}

// Case is one kind of traffic through several proxies.
type Case struct {
	Name    string  `json:"name"`
	Title   string  `json:"title"`
	Conns   int     `json:"connections"`
	Rate    float64 `json:"rate,omitempty"` // of the latency figures, in requests a second
	Proxies []Proxy `json:"proxies"`
	// DirectP50 and DirectP99 are the latency without a proxy, at the same rate; 0 if
	// that was not measured.
	DirectP50 time.Duration `json:"directP50,omitempty"`
	DirectP99 time.Duration `json:"directP99,omitempty"`
}

// Added is what a proxy adds to the latency in a case, at the median and at the 99th
// percentile; ok is false if that is not known.
func (c *Case) Added(label string) (p50, p99 time.Duration, ok bool) {
	p := c.Proxy(label)
	if p == nil || c.DirectP99 == 0 || p.P99 == 0 {
		return 0, 0, false
	}
	return p.P50 - c.DirectP50, p.P99 - c.DirectP99, true
}

// Proxy is how one did in a case.
type Proxy struct {
	Label     string        `json:"label"`
	CPU       stats.Spread  `json:"cpuNanosecondsPerRequest"`
	CPURounds []float64     `json:"cpuRounds"` // by round; 0 where the round failed
	RPS       stats.Spread  `json:"requestsPerSecond"`
	P50       time.Duration `json:"p50"`
	P99       time.Duration `json:"p99"`
	RSS       int64         `json:"rssBytes"` // after the load
	Requests  int64         `json:"requests"`
	Errors    int64         `json:"errors"`
	Error     string        `json:"error,omitempty"` // the first
	// Logged is the share of requests that are in the access log, where there is
	// one; a little above 1, since requests that were in flight at the end of a
	// round are logged and not counted.
	Logged float64 `json:"logged,omitempty"`
}

// Measure is a figure of its own.
type Measure struct {
	Name  string       `json:"name"`
	Title string       `json:"title"`
	Unit  string       `json:"unit"` // ms, KiB, MiB, count
	Value stats.Spread `json:"value"`
	Note  string       `json:"note,omitempty"`
}

// Case finds a case by its name; nil if it was not run.
func (r *Results) Case(name string) *Case {
	for i := range r.Cases {
		if r.Cases[i].Name == name {
			return &r.Cases[i]
		}
	}
	return nil
}

// Measure finds a figure by its name; nil if it was not measured.
func (r *Results) Measure(name string) *Measure {
	for i := range r.Measures {
		if r.Measures[i].Name == name {
			return &r.Measures[i]
		}
	}
	return nil
}

// Proxy finds one by its label; nil if it took no part.
func (c *Case) Proxy(label string) *Proxy {
	if c == nil {
		return nil
	}
	for i := range c.Proxies {
		if c.Proxies[i].Label == label {
			return &c.Proxies[i]
		}
	}
	return nil
}

// Best is the one of labels that takes the least CPU; nil if none has a figure.
func (c *Case) Best(labels ...string) *Proxy {
	var best *Proxy
	for _, l := range labels {
		if p := c.Proxy(l); p != nil && p.CPU.N > 0 && (best == nil || p.CPU.Median < best.CPU.Median) {
			best = p
		}
	}
	return best
}

// Ratio is a's CPU per request over b's, round by round; N is 0 if there is none.
func Ratio(a, b *Proxy) stats.Spread {
	if a == nil || b == nil {
		return stats.Spread{}
	}
	return stats.Ratio(a.CPURounds, b.CPURounds)
}

// Save writes the results as JSON.
func (r *Results) Save(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// Load reads what Save wrote.
func Load(path string) (*Results, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var r Results
	return &r, json.Unmarshal(text, &r)
}
