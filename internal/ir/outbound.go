package ir

// Egress says what becomes of connections and requests to what no section of an
// outbound listener takes.
type Egress string

const (
	// EgressAllow passes them through to where they were going.
	EgressAllow Egress = "Allow"
	// EgressDeny resets connections and answers requests with 502.
	EgressDeny Egress = "Deny"
)

// Outbound tells whether the listener is beside applications and takes what they
// send to others or, if it has Inbound, what others send to them.
//
// Its sections are chosen before anything was read of a connection or of a host
// in it. What was captured belongs to the section that has its original
// destination, or the port of it with an unspecified address (0.0.0.0 or [::]),
// which is any address of that family. What was not captured speaks HTTP to it, as
// to a proxy (RFC 9110 §3.7): each request, and what is inside a CONNECT, belongs
// to the section that has its authority. An authority is a host in lower case with
// a port, or one without, which is for all its ports that no other entry has;
// requests that name none are for port 80.
//
// Each section has a protocol of its own: HTTP; TCP, for which nobody waits to hear
// the client; or Detect, which is HTTP for those that begin so, and the section's
// streams for others. Hostnames of sections mean nothing; those of attached routes do.
func (l *Listener) Outbound() bool { return l.Captured || l.Egress != "" }

// EgressRule is the ID under which what EgressAllow lets through is counted and logged.
func (l *Listener) EgressRule() string { return "Egress/-/" + l.Name + "/rules/0" }

// EgressCluster is what the clusters behind EgressAllow are called in metrics, all
// of them, since applications choose how many there are.
const EgressCluster = "Egress"
