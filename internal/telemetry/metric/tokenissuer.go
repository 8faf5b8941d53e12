package metric

// TokenOutcomes are what becomes of requests for tokens, by number: a token, the errors
// of OAuth 2, and two that are not the client's matter.
var TokenOutcomes = [...]string{
	"issued", "invalid_request", "invalid_client", "unsupported_grant_type", "invalid_scope", "invalid_target", "too_many_failures", "unavailable",
}

// TokenIssuer is what became of an issuer of tokens.
type TokenIssuer struct {
	// Keys is how many are published.
	Keys int
	// Outcomes are those of TokenOutcomes.
	Outcomes []uint64
}

// SetTokenIssuers names the function that reads issuers of tokens at each scrape.
func (r *Registry) SetTokenIssuers(read func(yield func(issuer string, t TokenIssuer))) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tokenIssuers = read
}

var (
	tokenRequestsFamily = define("gridway_token_requests_total", counter,
		"Requests for access tokens at a TokenIssuer, by outcome: issued, the error of OAuth 2 that was answered, too_many_failures of the client or from its address, or unavailable if there was no key or too much to sign.", "issuer", "outcome")
	tokenKeysFamily = define("gridway_token_issuer_keys", gauge,
		"Keys of a TokenIssuer that are published; 0 is that it gives no tokens.", "issuer")
)

func (e *emitter) tokenIssuer(issuer string, t TokenIssuer) {
	if !e.room("token_issuer") {
		return
	}
	e.gauge(&tokenKeysFamily, float64(t.Keys), issuer)
	for i, n := range t.Outcomes {
		if n > 0 && i < len(TokenOutcomes) {
			e.count(&tokenRequestsFamily, n, issuer, TokenOutcomes[i])
		}
	}
}
