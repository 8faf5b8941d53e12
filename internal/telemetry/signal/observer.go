package signal

// Observer is a proxy's Recorder with what the proxy is itself.
type Observer struct {
	*Recorder
	// Self is the proxy's own workload in a mesh; the zero value is that it is in none.
	Self Who
	// TrustDomain is that of the mesh.
	TrustDomain string
}

// Peer is who has proved a SPIFFE ID; Nobody for an empty one.
func (o *Observer) Peer(id string) Who { return Identified(id, o.TrustDomain) }
