package distrib

// Labels by which a proxy says which sockets it wants besides those for one service
// each. Their values are lists of "IP:PORT", with commas between them.
const (
	// LabelCaptured are sockets to which outbound connections are redirected.
	LabelCaptured = "gridway.dev/captured"
	// LabelProxy are those that applications use as an HTTP proxy.
	LabelProxy = "gridway.dev/http-proxy"
	// LabelInbound are those to which inbound connections without the mesh's TLS are
	// redirected.
	LabelInbound = "gridway.dev/inbound"
	// LabelEastWest are those to which other meshes come, at an edge.
	LabelEastWest = "gridway.dev/east-west"
	// LabelEastWestAddress is where they reach it, IP:PORT: a label of the edge's workload.
	LabelEastWestAddress = "gridway.dev/east-west-address"
	// LabelGateways are the Gateways that an edge serves, "namespace/name"; without it
	// those of all namespaces.
	LabelGateways = "gridway.dev/gateways"
)
