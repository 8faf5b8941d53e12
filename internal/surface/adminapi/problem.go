package adminapi

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/gridway/gridway/internal/manage/objects"
)

// Fault is an error reply: a problem document (RFC 9457) of type about:blank,
// whose title is the status's.
type Fault struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Detail says what is wrong with this request.
	Detail string `json:"detail,omitempty"`
	// Problems are what is wrong with each place of what was sent.
	Problems []Problem `json:"problems,omitempty"`
	// Errors are what a change of the configuration is refused for.
	Errors []objects.Diagnostic `json:"errors,omitempty"`
}

// Error makes a Fault an error for callers of the client.
func (f *Fault) Error() string {
	text := fmt.Sprintf("%d %s", f.Status, f.Title)
	if f.Detail != "" {
		text += ": " + f.Detail
	}
	for i := range f.Problems {
		text += "\n" + f.Problems[i].String()
	}
	for i := range f.Errors {
		text += "\n" + f.Errors[i].String()
	}
	return text
}

// String is the problem in one line.
func (p *Problem) String() string {
	text := ""
	if p.Place.Line > 0 {
		text = fmt.Sprintf("line %d, column %d: ", p.Place.Line, p.Place.Column)
	}
	if p.Field != "" {
		text += p.Field + ": "
	}
	text += p.Message
	if p.Remedy != "" {
		text += "; " + p.Remedy
	}
	return text
}

func fault(status int, format string, args ...any) *Fault {
	return &Fault{Title: http.StatusText(status), Status: status, Detail: fmt.Sprintf(format, args...)}
}

// write sends the problem document.
func (f *Fault) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(f.Status)
	_ = json.NewEncoder(w).Encode(f) // the client is gone if this fails
}
