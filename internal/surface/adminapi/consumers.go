package adminapi

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/manage/access"
)

// Consumer is somebody who may call, as the process knows them.
type Consumer struct {
	Namespace   string               `json:"namespace"`
	Name        string               `json:"name"`
	Groups      []string             `json:"groups,omitempty"`
	Plan        string               `json:"plan,omitempty"`
	Labels      map[string]string    `json:"labels,omitempty"`
	Credentials []ConsumerCredential `json:"credentials"`
}

// ConsumerCredential is one of a consumer's credentials, without what is secret.
type ConsumerCredential struct {
	Name      string    `json:"name"`
	Kind      string    `json:"kind"`
	NotBefore time.Time `json:"notBefore,omitzero"`
	NotAfter  time.Time `json:"notAfter,omitzero"`
	// LastUsed is when it was accepted last, in whole seconds: by this process, and
	// with a state store by any that has it. It is left out if that never was.
	LastUsed time.Time `json:"lastUsed,omitzero"`
}

const defaultPage = 100_000_000 // a list without a limit has all of them

func (s *Server) consumers(w http.ResponseWriter, r *http.Request) (any, *Fault) {
	q := r.URL.Query()
	namespace, name := q.Get("namespace"), q.Get("name")
	limit := defaultPage
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > access.MaxPage {
			return nil, fault(http.StatusBadRequest, "limit must be 1 to %d", access.MaxPage)
		}
		limit = n
	}
	afterNamespace, afterName := namespace, ""
	if after := q.Get("after"); after != "" {
		var ok bool
		if afterNamespace, afterName, ok = strings.Cut(after, "/"); !ok || afterNamespace == "" || afterName == "" {
			return nil, fault(http.StatusBadRequest, "after must be NAMESPACE/NAME")
		}
	}
	out := []Consumer{}
	for c := range s.opt.Configuration.Consumers(afterNamespace, afterName) {
		if namespace != "" && c.Namespace > namespace {
			break
		}
		if (namespace != "" && c.Namespace != namespace) || (name != "" && c.Name != name) {
			continue
		}
		if len(out) == limit {
			last := &out[limit-1]
			q.Set("after", last.Namespace+"/"+last.Name)
			w.Header().Set("Link", "<"+r.URL.Path+"?"+q.Encode()+">; rel=\"next\"")
			break
		}
		out = append(out, c)
	}
	return out, nil
}
