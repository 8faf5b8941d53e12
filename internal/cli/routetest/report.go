package routetest

import (
	"encoding/xml"
	"fmt"
	"os"
	"strings"
	"time"
)

// Result is what became of one case.
type Result struct {
	Suite      string        `json:"suite"`
	Name       string        `json:"name"`
	Method     string        `json:"method"`
	URL        string        `json:"url"`
	Position   string        `json:"position"`
	OK         bool          `json:"ok"`
	Mismatches []Mismatch    `json:"mismatches,omitempty"`
	Error      string        `json:"error,omitempty"` // the request could not be decided
	Took       time.Duration `json:"took"`
}

// Report is a run.
type Report struct {
	Started time.Time `json:"started"`
	Passed  int       `json:"passed"`
	Failed  int       `json:"failed"`
	Results []Result  `json:"results"`
}

// Add counts a result.
func (r *Report) Add(x Result) {
	if x.OK {
		r.Passed++
	} else {
		r.Failed++
	}
	r.Results = append(r.Results, x)
}

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name      string      `xml:"name,attr"`
	Tests     int         `xml:"tests,attr"`
	Failures  int         `xml:"failures,attr"`
	Timestamp string      `xml:"timestamp,attr"`
	Cases     []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name      string        `xml:"name,attr"`
	Classname string        `xml:"classname,attr"`
	Time      string        `xml:"time,attr"`
	Failure   *junitFailure `xml:"failure,omitempty"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes the report in the form that CI systems read.
func (r *Report) WriteJUnit(path string) error {
	all := junitSuites{Name: "gridway test", Tests: len(r.Results), Failures: r.Failed}
	at := map[string]int{}
	for _, x := range r.Results {
		i, ok := at[x.Suite]
		if !ok {
			i = len(all.Suites)
			at[x.Suite] = i
			all.Suites = append(all.Suites, junitSuite{Name: x.Suite, Timestamp: r.Started.UTC().Format(time.RFC3339)})
		}
		s := &all.Suites[i]
		c := junitCase{Name: x.Name, Classname: x.Suite, Time: fmt.Sprintf("%.6f", x.Took.Seconds())}
		if !x.OK {
			s.Failures++
			c.Failure = &junitFailure{Message: fmt.Sprintf("%s %s", x.Method, x.URL), Text: x.text()}
		}
		s.Tests++
		s.Cases = append(s.Cases, c)
	}
	b, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append([]byte(xml.Header), append(b, '\n')...), 0o644)
}

func (x *Result) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", x.Position)
	if x.Error != "" {
		fmt.Fprintf(&b, "%s\n", x.Error)
	}
	for _, m := range x.Mismatches {
		fmt.Fprintf(&b, "%s: wanted %s, got %s (%s)\n", m.Field, m.Want, m.Got, m.Position)
	}
	return b.String()
}
