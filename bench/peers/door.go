package peers

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"iter"
	"os"
	"path/filepath"

	"github.com/gridway/gridway/bench/load"
)

// Door is what a proxy wants to know of its callers, and how much it lets them have.
type Door struct {
	// Keys asks for the API key of one of that many callers.
	Keys int
	// Limit counts the requests of each API key, against a limit that none reaches.
	Limit bool
}

// anyKeys is how many callers there are where nobody asks who they are.
const anyKeys = 1000

// callers is whose keys requests must have.
func (d Door) callers() int {
	if d.Keys == 0 && d.Limit {
		return anyKeys
	}
	return d.Keys
}

// caller is one of those who may come in, for the templates.
type caller struct {
	Number int
	Hash   string
}

// Everybody lists those who may come in.
func (d Door) Everybody() iter.Seq[caller] {
	return func(yield func(caller) bool) {
		for i := range d.Keys {
			if !yield(caller{i, fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(load.Key(i))))}) {
				return
			}
		}
	}
}

// door writes the files in which NGINX and HAProxy look keys up.
func (l *Lab) door(s Spec) error {
	if s.Keys == 0 {
		return nil
	}
	var nginx, haproxy bytes.Buffer
	for i := range s.Keys {
		fmt.Fprintf(&nginx, "%q 1;\n", load.Key(i))
		fmt.Fprintf(&haproxy, "%s 1\n", load.Key(i))
	}
	if err := os.WriteFile(filepath.Join(l.Dir, "nginx-keys.map"), nginx.Bytes(), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(l.Dir, "haproxy-keys.map"), haproxy.Bytes(), 0o600)
}
