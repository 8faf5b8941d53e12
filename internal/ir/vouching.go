package ir

import "time"

// Vouching is how an edge tells the proxies of a mesh who calls: by a token with each
// request of a caller who is known.
type Vouching struct {
	// Lifetime of tokens, a minute at most.
	Lifetime time.Duration `json:"lifetime"`
	// Claims are those that go with a token besides the usual ones, "*" for all.
	Claims []string `json:"claims,omitempty"`
}
