package access

import (
	"encoding/json"
	"time"
)

// Change is an entry of the audit log.
type Change struct {
	// ID counts the changes; a page of older ones begins before one.
	ID    int64     `json:"id"`
	At    time.Time `json:"at"`
	Actor string    `json:"actor"`
	Role  string    `json:"role"`
	Peer  string    `json:"peer,omitempty"`
	// Action is create, update, delete, import, or what was done to a key, a token or a
	// session.
	Action string `json:"action"`
	// Object is "Consumer/namespace/name", "Token/id", "Session/id", "JoinToken/id", "Identity/SPIFFE ID" or
	// "Certificate/serial".
	Object string `json:"object"`
	// Before and After are the object without its secrets.
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
}

// AuditQuery asks for changes.
type AuditQuery struct {
	Object, Actor string
	Before        int64
	Limit         int
}
