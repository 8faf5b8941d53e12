package objects

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// Op is what was done to an object.
type Op string

const (
	Created   Op = "created"
	Changed   Op = "changed"
	Deleted   Op = "deleted"
	Unchanged Op = "unchanged" // of a change that was asked for
)

// Source says who makes revisions of a kind.
type Source string

const (
	// API: somebody has applied, deleted or rolled back objects.
	API Source = "api"
	// Files: files that the gateway reads have changed.
	Files Source = "files"
)

const origin = "managed, revision "

// Origin is how a managed object's comment says where it is from.
func Origin(revision int64) string { return origin + strconv.FormatInt(revision, 10) }

// IsOrigin recognizes what Origin writes.
func IsOrigin(text string) bool {
	number, ours := strings.CutPrefix(text, origin)
	_, err := strconv.ParseInt(number, 10, 64)
	return ours && err == nil
}

// Options of a change.
type Options struct {
	// Message says why; at most MaxMessage bytes.
	Message string
	// DryRun only says what would be done.
	DryRun bool
	// Expect is the revision that the configuration must have; 0 is any.
	Expect int64
}

// Change is what was done to one object.
type Change struct {
	Op Op `json:"op"`
	Name
}

// Applied is what a change has done, or would do.
type Applied struct {
	// Revision is the one that was made; of a dry run, and where nothing is different,
	// the latest there is.
	Revision int64    `json:"revision"`
	DryRun   bool     `json:"dryRun,omitempty"`
	Changes  []Change `json:"changes"`
	// Warnings are about objects of the change, or because of it.
	Warnings []Diagnostic `json:"warnings"`
}

// Revision is one change of the configuration.
type Revision struct {
	Number int64     `json:"number"`
	At     time.Time `json:"at"`
	// By is the name of who made it; of files, the process that saw it first.
	By      string `json:"by"`
	Message string `json:"message,omitempty"`
	Source  Source `json:"source"`
	// Changes are ordered as they were sent. Lists of revisions leave the texts out.
	Changes []ObjectChange `json:"changes"`
	// Omitted counts changes of files that were too many, or too long, to be kept.
	Omitted int `json:"omitted,omitempty"`
}

// ObjectChange is what a revision has done to one object.
type ObjectChange struct {
	Op Op `json:"op"`
	Name
	// Place is FILE:LINE of an object in a file.
	Place string `json:"place,omitempty"`
	// Before and After are the object in YAML, its secrets hidden: one that has changed
	// is "(hidden, changed)" afterwards. Both are empty in lists; otherwise an empty one
	// is that there was, or is, none, or, of files, that it is not known any more.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`

	// BeforeValue and AfterValue are what the texts say, with secrets; they stay in the
	// process. They are nil where the texts have none.
	BeforeValue json.RawMessage `json:"-"`
	AfterValue  json.RawMessage `json:"-"`
}

// Query asks for revisions, the latest first.
type Query struct {
	// Object bounds them to those that change it; nil does not.
	Object *Name
	// Before is the number that those wanted are below; zero begins with the latest.
	Before int64
	// Limit is 1 to MaxPage.
	Limit int
}
