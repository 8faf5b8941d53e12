package metric

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Mesh is how a mesh stands, as one process of it sees it.
type Mesh struct {
	// Control is there if the process is a control plane, Member if it has its
	// configuration from one.
	Control *MeshControl
	Member  *MeshMember
	// SVIDs are the process's own.
	SVIDs []MeshSVID
	// Bundles are those that it trusts.
	Bundles []MeshBundle
	// Withheld counts workloads that node proxies want and that are not granted to them:
	// of the proxies connected to a control plane, or of a node proxy itself.
	Withheld int
	// Denied counts identities and certificates that are denied.
	Denied int
}

// MeshControl is what a control plane knows. The numbers of proxies are of those whose
// streams it has or had, not of those of other control planes.
type MeshControl struct {
	// Proxies by role and state.
	Proxies map[[2]string]int
	// Behind is by how many revisions the slowest connected proxy of a role is behind.
	Behind map[string]uint64
	// Waiting counts proxies to which something is to be sent: a view or endpoints.
	Waiting map[string]int
	// Messages and Bytes that were sent, by kind: view, endpoints or trust.
	Messages, Bytes map[string]uint64
	// Acknowledged is the time from a change to the answer of a proxy that serves it.
	Acknowledged Histogram
	// Refused counts resources that proxies refused, by their kind.
	Refused map[string]uint64
	// Services of workloads, and workloads by health.
	Services  int
	Workloads map[string]int
	// Joins by what they were proven with and result, SVIDs issued by the same.
	Joins, Issued map[[2]string]uint64
	Authorities   []MeshAuthority
}

// MeshAuthority is a root, an intermediate or a key of the authority.
type MeshAuthority struct {
	Purpose, Serial string
	Ends            time.Time
}

// MeshMember is how a proxy stands with its control plane.
type MeshMember struct {
	Connected bool
	// Contact is when something came from a control plane last, zero if nothing has.
	Contact time.Time
	// Revision is what it serves. FromDisk: that is from before its start.
	Revision uint64
	FromDisk bool
	// Refused counts the parts of the newest revision that it cannot serve.
	Refused int
	// Services that it uses.
	Services int
	// RenewalFailures since the last renewal of an SVID that went well, by identity.
	RenewalFailures map[string]int
}

// MeshSVID is one that the process has.
type MeshSVID struct {
	ID   string
	Ends time.Time
}

// MeshBundle is the trust bundle of a trust domain.
type MeshBundle struct {
	TrustDomain string
	Roots       int
	// Ends is when the last root does, and Fetched when the bundle was heard of last;
	// zero where that is not known.
	Ends, Fetched time.Time
}

// Histogram is one whose buckets are counted elsewhere.
type Histogram struct {
	Count uint64
	// Sum is in seconds.
	Sum float64
	// Buckets have how many are at most of an upper bound in seconds.
	Buckets map[float64]uint64
}

// SetMesh names the function that tells at each scrape how the mesh stands.
func (r *Registry) SetMesh(read func() Mesh) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mesh = read
}

var (
	meshProxiesFamily = define("gridway_mesh_proxies", gauge,
		"Proxies that have their configuration from this control plane, by role (edge, sidecar, node) and state: Serving, Pending, Refused, Newer or Gone.", "role", "state")
	meshBehindFamily = define("gridway_mesh_revisions_behind", gauge,
		"By how many revisions the slowest connected proxy of a role is behind what it is to serve.", "role")
	meshWaitingFamily = define("gridway_mesh_send_waiting", gauge,
		"Proxies for which something waits to be sent: a view, because the last one is not answered, or endpoints.", "what")
	meshMessagesFamily = define("gridway_mesh_sent_messages_total", counter,
		"Messages to proxies, by what they have: a view, endpoints or trust.", "what")
	meshBytesFamily = define("gridway_mesh_sent_bytes_total", counter,
		"Bytes of messages to proxies, before TLS.", "what")
	meshAckFamily = define("gridway_mesh_acknowledge_duration_seconds", histo,
		"Time from a change of the configuration to the answer of a proxy that serves it, one for each proxy and revision.")
	meshRefusedFamily = define("gridway_mesh_refusals_total", counter,
		"Resources that proxies refused, by their kind; unknown is of those that did not say which.", "resource")
	meshServicesFamily = define("gridway_mesh_services", gauge,
		"Services that have registered workloads.")
	meshWorkloadsFamily = define("gridway_mesh_workloads", gauge,
		"Registered workloads of all control planes, by health: healthy or unhealthy.", "health")
	meshJoinsFamily = define("gridway_mesh_joins_total", counter,
		"Joins of this control plane, by what they were to be proven with (token, account, svid) and result: joined, refused, or failed because something of the control plane did.", "via", "result")
	meshIssuedFamily = define("gridway_mesh_svids_total", counter,
		"SVIDs asked of this control plane, by why (join, renewal, jwt) and result: issued, refused or failed.", "why", "result")
	meshAuthorityFamily = define("gridway_mesh_authority_not_after_timestamp_seconds", gauge,
		"Unix time at which a certificate of the authority ends, by purpose (x509, external) and serial number.", "purpose", "serial")
	meshConnectedFamily = define("gridway_mesh_control_connected", gauge,
		"1 while the proxy has a stream with a control plane, else 0.")
	meshContactFamily = define("gridway_mesh_control_contact_timestamp_seconds", gauge,
		"Unix time at which something came from a control plane last.")
	meshRevisionFamily = define("gridway_mesh_revision", gauge,
		"Revision that the proxy serves, as its control plane counts.")
	meshFromDiskFamily = define("gridway_mesh_from_disk", gauge,
		"1 while the proxy serves what it has kept on disk from before its start, else 0.")
	meshRefusesFamily = define("gridway_mesh_refused_resources", gauge,
		"Resources of the newest revision that the proxy cannot serve.")
	meshUsesFamily = define("gridway_mesh_used_services", gauge,
		"Services that the proxy has the configuration of because somebody behind it has asked for them, beside those that it was started for.")
	meshRenewalFamily = define("gridway_mesh_svid_renewal_failures", gauge,
		"Tries to renew an SVID that failed since the last that did not.", "identity")
	meshWithheldFamily = define("gridway_mesh_withheld_workloads", gauge,
		"Workloads that node proxies want and that are not granted to them: at a control plane by the proxies connected to it, at a node proxy its own.")
	meshSVIDFamily = define("gridway_mesh_svid_not_after_timestamp_seconds", gauge,
		"Unix time at which an SVID of the process ends.", "identity")
	meshRootsFamily = define("gridway_mesh_bundle_roots", gauge,
		"Roots in the trust bundle of a trust domain.", "trust_domain")
	meshBundleEndFamily = define("gridway_mesh_bundle_not_after_timestamp_seconds", gauge,
		"Unix time at which the last root of a trust bundle ends.", "trust_domain")
	meshBundleFamily = define("gridway_mesh_bundle_fetched_timestamp_seconds", gauge,
		"Unix time at which another trust domain's bundle was fetched last.", "trust_domain")
	meshDeniedFamily = define("gridway_mesh_denied", gauge,
		"Identities and certificates of the mesh that are denied.")
	meshFamilies = []family{
		meshProxiesFamily, meshBehindFamily, meshWaitingFamily, meshMessagesFamily, meshBytesFamily, meshAckFamily, meshRefusedFamily, meshServicesFamily,
		meshWorkloadsFamily, meshJoinsFamily, meshIssuedFamily, meshAuthorityFamily, meshConnectedFamily, meshContactFamily, meshRevisionFamily, meshFromDiskFamily,
		meshRefusesFamily, meshUsesFamily, meshRenewalFamily, meshSVIDFamily, meshRootsFamily, meshBundleEndFamily, meshBundleFamily, meshWithheldFamily, meshDeniedFamily,
	}
)

func (e *emitter) mesh(m *Mesh) {
	if m.Control != nil {
		e.meshControl(m.Control)
	}
	if m.Member != nil {
		e.meshMember(m.Member)
	}
	for _, s := range m.SVIDs {
		e.moment(&meshSVIDFamily, s.Ends, s.ID)
	}
	for _, b := range m.Bundles {
		e.gauge(&meshRootsFamily, float64(b.Roots), b.TrustDomain)
		e.moment(&meshBundleEndFamily, b.Ends, b.TrustDomain)
		e.moment(&meshBundleFamily, b.Fetched, b.TrustDomain)
	}
	e.gauge(&meshWithheldFamily, float64(m.Withheld))
	e.gauge(&meshDeniedFamily, float64(m.Denied))
}

func (e *emitter) meshControl(c *MeshControl) {
	for k, n := range c.Proxies {
		e.gauge(&meshProxiesFamily, float64(n), k[0], k[1])
	}
	for role, n := range c.Behind {
		e.gauge(&meshBehindFamily, float64(n), role)
	}
	for what, n := range c.Waiting {
		e.gauge(&meshWaitingFamily, float64(n), what)
	}
	for what, n := range c.Messages {
		e.count(&meshMessagesFamily, n, what)
	}
	for what, n := range c.Bytes {
		e.count(&meshBytesFamily, n, what)
	}
	h := &c.Acknowledged
	e.ch <- prometheus.MustNewConstHistogram(meshAckFamily.desc, h.Count, h.Sum, h.Buckets)
	for kind, n := range c.Refused {
		e.count(&meshRefusedFamily, n, kind)
	}
	e.gauge(&meshServicesFamily, float64(c.Services))
	for health, n := range c.Workloads {
		e.gauge(&meshWorkloadsFamily, float64(n), health)
	}
	for k, n := range c.Joins {
		e.count(&meshJoinsFamily, n, k[0], k[1])
	}
	for k, n := range c.Issued {
		e.count(&meshIssuedFamily, n, k[0], k[1])
	}
	for _, a := range c.Authorities {
		e.moment(&meshAuthorityFamily, a.Ends, a.Purpose, a.Serial)
	}
}

func (e *emitter) meshMember(m *MeshMember) {
	e.flag(&meshConnectedFamily, m.Connected)
	e.moment(&meshContactFamily, m.Contact)
	e.gauge(&meshRevisionFamily, float64(m.Revision))
	e.flag(&meshFromDiskFamily, m.FromDisk)
	e.gauge(&meshRefusesFamily, float64(m.Refused))
	e.gauge(&meshUsesFamily, float64(m.Services))
	for id, n := range m.RenewalFailures {
		e.gauge(&meshRenewalFamily, float64(n), id)
	}
}

// moment is a gauge in Unix seconds; there is none for the zero time.
func (e *emitter) moment(f *family, at time.Time, labels ...string) {
	if !at.IsZero() {
		e.gauge(f, float64(at.UnixMilli())/1000, labels...)
	}
}
