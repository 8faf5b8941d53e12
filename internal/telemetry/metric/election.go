package metric

// SetElection names the function that tells at each scrape whether this process is the one
// that was elected for periodic work, and in which term.
func (r *Registry) SetElection(read func() (self bool, term int64)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.election = read
}

var (
	electedFamily = define("gridway_state_elected", gauge,
		"Whether this process is the one of those that share the state store which was elected for periodic work: 1 or 0. The sum over all of them is 1, but for seconds when one has ended.")
	electionTermFamily = define("gridway_state_election_term", gauge,
		"Number of the election for periodic work, as far as this process knows: it grows when another process is elected.")
)

func (e *emitter) election(self bool, term int64) {
	v := 0.0
	if self {
		v = 1
	}
	e.gauge(&electedFamily, v)
	e.gauge(&electionTermFamily, float64(term))
}
