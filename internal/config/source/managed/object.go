package managed

import (
	"fmt"

	"github.com/gridway/gridway/internal/config/decode"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/seal"
	"github.com/gridway/gridway/internal/statedb"
)

// Use is what seals of Secrets are derived for.
const Use = "gridway managed objects v1"

// Purpose is what an object is sealed for: none can be put in the place of another.
func Purpose(k store.Key) string { return "object " + k.Group + "/" + k.String() }

// File is the file that places in an object name.
func File(k store.Key) string { return "managed/" + k.String() }

// Open returns the text of a row.
func Open(seals func() (seal.Keys, error), k store.Key, sealed bool, text string) (string, error) {
	if !sealed || text == "" {
		return text, nil
	}
	if seals == nil {
		return "", errNoSecret
	}
	keys, err := seals()
	if err != nil {
		return "", err
	}
	plain, ok := keys.Open(Purpose(k), []byte(text))
	if !ok {
		return "", errSealed
	}
	return string(plain), nil
}

type sealError string

func (e sealError) Error() string { return string(e) }

const (
	errNoSecret = sealError("there is no secret to open it by")
	errSealed   = sealError("it was sealed by another secret than --state-key-file has")
)

// read makes an object of a row; nil if there is none. One that cannot be read is what it
// was before.
func (s *Source) read(row *statedb.Object, before *State) (*Object, []store.Problem) {
	if row.Deleted {
		return nil, nil
	}
	k := key(row.ObjectKey)
	text, err := Open(s.opt.Seals, k, row.Sealed, row.Text)
	if err != nil {
		return before.Find(k), []store.Problem{{
			Severity: store.Error, Code: "UnreadableObject", Object: k, Position: store.Position{File: File(k)},
			Message: fmt.Sprintf("cannot be opened: %v", err), Remedy: "start the gateway with the same --state-key-file as the one that it was applied through, or apply it again",
		}}
	}
	o, problems := Decode(k, text)
	if last := before.Find(k); o == nil || o.Broken && last != nil {
		return last, problems
	}
	return &Object{Object: o, Text: text, Revision: row.Version}, problems
}

// Decode reads the text of an object with a key. What is wrong is told with its line in
// the text; what is returned then is nil, or stands for an object that must not be taken
// for absent, and is broken. Warnings are for who applies an object, and left out.
func Decode(k store.Key, text string) (*store.Object, []store.Problem) {
	r := decode.Decode(decode.Document{File: File(k), Line: 1, Text: []byte(text)})
	var problems []store.Problem
	for _, p := range r.Problems {
		if p.Severity == store.Error {
			if p.Object = k; p.Remedy != "" {
				p.Remedy += "; "
			}
			p.Remedy += "apply it again"
			problems = append(problems, p)
		}
	}
	if len(problems) == 0 && (len(r.Objects) != 1 || r.Objects[0].Key != k) {
		problems = append(problems, store.Problem{
			Severity: store.Error, Code: "UnreadableObject", Object: k, Position: store.Position{File: File(k), Line: 1},
			Message: "the state store has something else in its place", Remedy: "apply it again",
		})
	}
	found := r.Objects
	if len(problems) > 0 {
		found = r.StandIns
	}
	for _, o := range found {
		if o.Key == k {
			mine := *o
			mine.Source = Name
			return &mine, problems
		}
	}
	return nil, problems
}
