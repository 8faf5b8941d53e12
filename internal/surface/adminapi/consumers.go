package adminapi

import (
	"net/http"
	"time"
)

// Consumer is somebody who may call, as the process knows them.
type Consumer struct {
	Namespace   string               `json:"namespace"`
	Name        string               `json:"name"`
	Groups      []string             `json:"groups,omitempty"`
	Plan        string               `json:"plan,omitempty"`
	Credentials []ConsumerCredential `json:"credentials"`
}

// ConsumerCredential is one of a consumer's credentials, without what is secret.
type ConsumerCredential struct {
	Name      string    `json:"name"`
	Kind      string    `json:"kind"`
	NotBefore time.Time `json:"notBefore,omitzero"`
	NotAfter  time.Time `json:"notAfter,omitzero"`
	// LastUsed is when this process accepted it last, in whole seconds. It is left
	// out if that never was.
	LastUsed time.Time `json:"lastUsed,omitzero"`
}

func (s *Server) consumers(_ http.ResponseWriter, r *http.Request) (any, *Fault) {
	q := r.URL.Query()
	namespace, name := q.Get("namespace"), q.Get("name")
	out := []Consumer{}
	for c := range s.opt.Configuration.Consumers() {
		if (namespace == "" || c.Namespace == namespace) && (name == "" || c.Name == name) {
			out = append(out, c)
		}
	}
	return out, nil
}
