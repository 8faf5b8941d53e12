package peers

// Telemetry is how much a Gridway sees of its traffic.
type Telemetry string

// What Gridway sees, from what it does by itself to nothing.
const (
	// Usual is metrics, the service graph, and a record of each exchange.
	Usual Telemetry = ""
	// Exported is Usual, an access log, and metrics and 1 % of traces to the collector.
	Exported Telemetry = "exported"
	// None, in the build that counts nothing, is not a look at anything.
	None Telemetry = "none"
)

// logs tells whether there is an access log.
func (s Spec) logs() bool { return s.Full || s.Telemetry == Exported }
