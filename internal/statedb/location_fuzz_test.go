package statedb_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/statedb"
)

// filesOf are parameters of libpq that name files, which are read.
var filesOf = regexp.MustCompile(`(?i)ssl|pass|service|%`)

// FuzzParseLocation: no text panics, and of the password of one nothing is told.
func FuzzParseLocation(f *testing.F) {
	for _, text := range []string{
		"", "sqlite", "sqlite:", "sqlite:///x/y.db", "sqlite:../x", "postgres://u@h/d", "postgresql://u:@h:99/d?connect_timeout=1", "postgres:///d?host=/run",
		"postgres://u@[::1]:5432/d", "postgres://h:1,i:2/d?target_session_attrs=read-write", "mysql://u@h/d", "POSTGRES://u@h", "postgresql:///u@h/d", "postgres:host=h dbname=d",
	} {
		f.Add(text)
	}
	const secret = "hunter2hunter2"
	f.Fuzz(func(t *testing.T, text string) {
		if filesOf.MatchString(text) {
			t.Skip()
		}
		if head, tail, ok := strings.Cut(text, "@"); ok {
			text = head + ":" + secret + "@" + tail
		}
		at, err := statedb.ParseLocation(text, "/state")
		switch {
		case err != nil && !errors.Is(err, statedb.ErrLocation):
			t.Errorf("%q: %v is no ErrLocation", text, err)
		case err != nil && strings.Contains(err.Error(), secret):
			t.Errorf("%q: the password is told: %v", text, err)
		case err == nil && at.String() == "no state store":
			t.Errorf("%q is none", text)
		case err == nil && at.Path() == "" && strings.Contains(at.String(), secret):
			t.Errorf("%q: the password is told: %s", text, at)
		case at.Path() != "" && !strings.HasPrefix(at.Path(), "/"):
			t.Errorf("%q: %s is not absolute", text, at.Path())
		}
	})
}
