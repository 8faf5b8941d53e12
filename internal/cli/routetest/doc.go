// Package routetest reads RouteTest documents, which say where requests should
// go, and compares that with what a configuration does with them. Nothing is
// sent: decisions come from a dry run. The package owns no goroutines; only
// the CLI imports it.
package routetest

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/gridway/gridway/internal/config/store"
)

// Kind and APIVersion of the documents.
const (
	Kind       = "RouteTest"
	APIVersion = "gridway.dev/v1alpha1"
)

// Suite is one RouteTest document.
type Suite struct {
	Name string
	File string
	// Config are the files and folders under test.
	Config []string
	Cases  []Case
}

// Case is one request and what is expected of it.
type Case struct {
	Name    string  `yaml:"name"`
	Request Request `yaml:"request"`
	Expect  Expect  `yaml:"expect"`

	// Position is the case's; Locate finds its fields, as in "expect.route".
	Position store.Position                    `yaml:"-"`
	Locate   func(field string) store.Position `yaml:"-"`
}

// Request to imagine. Method is GET when empty.
type Request struct {
	Method   string            `yaml:"method"`
	URL      string            `yaml:"url"`
	Headers  map[string]string `yaml:"headers"`
	Listener string            `yaml:"listener"`
	// Client is the address of who sends it, after trusted proxies.
	Client string `yaml:"client"`
	// ClientCertificate is a file with the client's certificate, in PEM, which the
	// listener is taken to have verified.
	ClientCertificate string `yaml:"clientCertificate"`
}

// Expect is compared field by field; what is left out may be anything.
type Expect struct {
	// Status of a reply that the proxy makes itself, such as 301, 404 or that
	// of a direct response.
	Status *int `yaml:"status"`
	// Reason is the reply's X-Gridway-Reason.
	Reason *string `yaml:"reason"`
	Body   *string `yaml:"body"`
	// Redirect is the Location of a redirect.
	Redirect *string `yaml:"redirect"`
	Section  *string `yaml:"section"`
	// Route is "name" or "namespace/name"; Rule is a rule's name or its index.
	Route *string `yaml:"route"`
	Rule  *string `yaml:"rule"`
	// Backends are names, or names with their share in percent.
	Backends Shares   `yaml:"backends"`
	Mirrors  []string `yaml:"mirrors"`
	// Method, Host, Path and Query of the request as the backend gets it.
	Host  *string `yaml:"host"`
	Path  *string `yaml:"path"`
	Query *string `yaml:"query"`
	// RequestHeaders as the backend gets them, ResponseHeaders as the client
	// does; null means that the header must not be there.
	RequestHeaders  map[string]*string `yaml:"requestHeaders"`
	ResponseHeaders map[string]*string `yaml:"responseHeaders"`
	// Timeout of the exchange ("3s") and Retries that may follow the first try.
	Timeout *string `yaml:"timeout"`
	Retries *int    `yaml:"retries"`
}

// Share is a backend and its percentage; negative is any.
type Share struct {
	Name    string
	Percent float64
}

// Shares is written as a list of names or as a map of names to percentages.
type Shares []Share

// UnmarshalYAML accepts both forms.
func (s *Shares) UnmarshalYAML(unmarshal func(any) error) error {
	var names []string
	if err := unmarshal(&names); err == nil {
		*s = make(Shares, 0, len(names))
		for _, n := range names {
			*s = append(*s, Share{Name: n, Percent: -1})
		}
		return nil
	}
	var shares map[string]float64
	if err := unmarshal(&shares); err != nil {
		return fmt.Errorf("must be a list of names, or names with their percentages")
	}
	*s = make(Shares, 0, len(shares))
	for n, p := range shares {
		*s = append(*s, Share{Name: n, Percent: p})
	}
	return nil
}

// configOf resolves the paths of a suite: relative to its own folder, which is
// also what is tested when none are given.
func configOf(file string, paths []string) []string {
	dir := filepath.Dir(file)
	if len(paths) == 0 {
		return []string{dir}
	}
	out := make([]string, len(paths))
	for i, p := range paths {
		if filepath.IsAbs(p) {
			out[i] = p
		} else {
			out[i] = filepath.Join(dir, p)
		}
	}
	return out
}

// IsTest tells quickly whether a file may hold RouteTest documents.
func IsTest(content []byte) bool { return strings.Contains(string(content), Kind) }
