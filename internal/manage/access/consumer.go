package access

import (
	"encoding/json"
	"time"
)

// Record is a consumer of the state store.
type Record struct {
	Namespace, Name  string
	Version          int64
	Created, Updated time.Time
	// Manifest is the Consumer in the form of its kind, in JSON. The hashes of its
	// keys and passwords are in it only if asked for.
	Manifest func(hashes bool) json.RawMessage
}

// Condition is what must hold for a change: the version that the consumer has, or
// with New that there is none. The zero value holds always.
type Condition struct {
	Version int64
	New     bool
}

// Imported says what an import has done, or would do.
type Imported struct {
	Created   int  `json:"created"`
	Updated   int  `json:"updated"`
	Unchanged int  `json:"unchanged"`
	DryRun    bool `json:"dryRun,omitempty"`
}
