package metric

// SetCallerTokens names the function that reads, at each scrape, what became of the
// tokens by which edges tell proxies of a mesh who calls.
func (r *Registry) SetCallerTokens(read func(yield func(result string, n uint64))) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.callerTokens = read
}

var callerTokensFamily = define("gridway_mesh_caller_tokens_total", counter,
	"Tokens by which an edge tells proxies of the mesh who calls, by result: signed or not_signed at the edge; direct, which the edge itself has sent, verified by its signature, or remembered from an earlier request that it came with, at the proxy of a workload; or what was wrong with one that was taken out of its request, as the access log's auth_faults have it.", "result")

func (e *emitter) callerToken(result string, n uint64) {
	e.count(&callerTokensFamily, n, result)
}
