// Package question is how control planes ask proxies what passes and has passed through
// them: a Responder is a proxy's end of the stream, a Hub the control plane's. What is
// asked, and what an answer looks like, is for others to know: a question is a kind and a
// query, an answer is items of bytes.
//
// Traffic waits for none of it. A proxy answers as fast as its control plane takes the
// answers, and a control plane takes all of them at once and drops, and counts, those that
// who asks is too slow for.
//
// Goroutines end with Responder.Run, with the streams of a Hub, and with Hub.Ask. The
// package may be imported by what is of a member or of a control plane; it links neither
// SQL nor the proxy.
package question

import (
	"context"
	"fmt"
	"strings"
)

const (
	// MaxQuery is how long a query may be in bytes, MaxItem an item of an answer.
	MaxQuery = 4096
	MaxItem  = 64 << 10
	// MaxOfProxy is how many questions a proxy answers at a time, and MaxOfHub how many a
	// control plane asks.
	MaxOfProxy = 16
	MaxOfHub   = 64
	maxKind    = 32
	maxName    = 512
	maxWhy     = 512
	// maxOnly bounds how many proxies are named.
	maxOnly = 256
	// maxPart bounds the bytes of items that travel together.
	maxPart = 256 << 10
)

// Answerer answers questions of one kind. Any goroutine may call it.
type Answerer interface {
	// Answer gives items, and returns when there are no more, ctx ends, or give fails,
	// whose error it returns then. An item is not changed any more once it was given. A
	// query that is wrong is a *Refusal.
	Answer(ctx context.Context, query string, give func(items ...[]byte) error) error
}

// Answerers are those of a process, by the kind of question.
type Answerers map[string]Answerer

// Refusal is why a question is not answered.
type Refusal struct{ Why string }

func (r *Refusal) Error() string { return r.Why }

// Refuse makes a Refusal.
func Refuse(format string, args ...any) error { return &Refusal{fmt.Sprintf(format, args...)} }

// Proxy is one that answers. Name is how it calls itself, Identity the SPIFFE ID that it
// has proved.
type Proxy struct{ Name, Identity string }

// Only are the proxies that are wanted: by name, by whole parts of it between slashes, or
// by identity. None is all.
type Only []string

// Wants tells whether a proxy is one of them.
func (o Only) Wants(p Proxy) bool {
	for _, v := range o {
		if strings.Contains("/"+p.Name+"/", "/"+strings.Trim(v, "/")+"/") || p.Identity == v {
			return true
		}
	}
	return len(o) == 0
}

// Problem is why a proxy has not answered, or not to the end.
type Problem struct {
	// Proxy is its name.
	Proxy string `json:"proxy"`
	// Why is for people.
	Why string `json:"why"`
}

// short bounds what others say of themselves.
func short(s string, most int) string {
	if len(s) > most {
		s = s[:most]
	}
	return s
}
