package adminapi

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// Fault is an error reply: a problem document (RFC 9457) of type about:blank,
// whose title is the status's.
type Fault struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Detail says what is wrong with this request.
	Detail string `json:"detail,omitempty"`
}

// Error makes a Fault an error for callers of the client.
func (f *Fault) Error() string {
	if f.Detail == "" {
		return fmt.Sprintf("%d %s", f.Status, f.Title)
	}
	return fmt.Sprintf("%d %s: %s", f.Status, f.Title, f.Detail)
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
