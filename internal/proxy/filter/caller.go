package filter

import "github.com/gridway/gridway/internal/ir"

// Caller is what is known of who sent the request. Authentication sets it once;
// what comes later reads it, and nobody parses a credential twice.
type Caller struct {
	// Method is the name of the method that accepted the credential; empty for
	// somebody who is not known.
	Method string
	// Consumer is nil for callers that are none of the configuration's.
	Consumer *ir.Consumer
	// Credential is the name of the consumer's credential.
	Credential string
	// Claims are nil where the method gives none. Its subject need not be that of
	// a Consumer.
	Claims *Claims
}

// Known tells whether a credential was accepted.
func (c *Caller) Known() bool { return c.Method != "" }

// Decision is what a policy has decided about a request.
type Decision uint8

const (
	// Allowed: the policy lets the request go on, or knows its caller.
	Allowed Decision = iota
	// Anonymous: nothing was asked of the caller, or nothing was needed.
	Anonymous
	// Unidentified: a credential is needed, and there was none.
	Unidentified
	// Denied: the policy refuses the request.
	Denied
	// Unavailable: what the decision needs is not there.
	Unavailable
	// WouldDeny: a dry policy would refuse the request.
	WouldDeny
	// Audited: the policy only records the request.
	Audited
	decisionCount
)

var decisionNames = [decisionCount]string{"allowed", "anonymous", "unidentified", "denied", "unavailable", "would_deny", "audited"}

// DecisionNames lists the names of decisions by number, for metrics.
func DecisionNames() []string { return decisionNames[:] }

// Decisions counts what a policy decides.
type Decisions interface{ Decided(d int) }

// Refuse is Fail with the policy that says so, "namespace/name", and the part of
// it, which may be empty: both are for operators, and no client sees them.
func (x *Exchange) Refuse(status int, reason Reason, detail, policy, part string) Verdict {
	x.Policy, x.PolicyRule = policy, part
	return x.Fail(status, reason, detail)
}

// Noted is what a policy has to say of a request that it does not decide about.
type Noted struct {
	Kind NoteKind
	// Policy is "namespace/name", Rule the part of it, which may be empty.
	Policy, Rule string
}

// NoteKind says what is noted.
type NoteKind uint8

const (
	// NoteAudit: a rule that only records has matched.
	NoteAudit NoteKind = iota
	// NoteWouldDeny: a dry policy would have refused the request.
	NoteWouldDeny
	// NoteFailOpen: what a policy needs is not there, and by choice that lets requests
	// through.
	NoteFailOpen
)

// maxNotes bounds what is noted of a request.
const maxNotes = 16

// Note notes something for the access log.
func (x *Exchange) Note(kind NoteKind, policy, rule string) {
	if len(x.Notes) < maxNotes {
		x.Notes = append(x.Notes, Noted{kind, policy, rule})
	}
}

// AppendNoted lists what was noted of a kind: "namespace/name/rule", with commas.
func AppendNoted(out []byte, notes []Noted, kind NoteKind) []byte {
	for i := range notes {
		n := &notes[i]
		if n.Kind != kind {
			continue
		}
		if len(out) > 0 {
			out = append(out, ',')
		}
		out = append(out, n.Policy...)
		if n.Rule != "" {
			out = append(append(out, '/'), n.Rule...)
		}
	}
	return out
}
