package access

import (
	"slices"
)

// Role is what somebody may do. Each includes those before it.
type Role string

const (
	// Viewer reads; no hashes of credentials.
	Viewer Role = "viewer"
	// Operator also changes consumers and the level of the log.
	Operator Role = "operator"
	// Admin also has tokens, the audit log and profiles of the process.
	Admin Role = "admin"
)

// Roles are all of them, the least first.
var Roles = []Role{Viewer, Operator, Admin}

// Includes tells whether who has this role may do what another one may.
func (r Role) Includes(other Role) bool {
	return slices.Index(Roles, r) >= slices.Index(Roles, other) && slices.Contains(Roles, r) && slices.Contains(Roles, other)
}
