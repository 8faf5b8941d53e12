package metric

// LoginResults are the results of questions to a provider, by number.
var LoginResults = [...]string{"ok", "refused", "unavailable"}

// Login counts what became of logins and of refresh tokens at a provider.
type Login struct{ Logins, Refreshes [len(LoginResults)]uint64 }

// SetLogins names the function that reads the logins at each scrape.
func (r *Registry) SetLogins(read func(yield func(policy, issuer string, l Login))) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.logins = read
}

var (
	loginsFamily = define("gridway_logins_total", counter,
		"Logins that came back from an OpenID provider, by result: ok, refused, or unavailable if the provider could not be asked.", "policy", "issuer", "result")
	loginRefreshesFamily = define("gridway_login_refreshes_total", counter,
		"Refresh tokens that were exchanged at an OpenID provider, by result: ok, refused, after which the session is over, or unavailable.", "policy", "issuer", "result")
)

func (e *emitter) login(policy, issuer string, l Login) {
	if !e.room("login") {
		return
	}
	for i, result := range LoginResults {
		if l.Logins[i] > 0 {
			e.count(&loginsFamily, l.Logins[i], policy, issuer, result)
		}
		if l.Refreshes[i] > 0 {
			e.count(&loginRefreshesFamily, l.Refreshes[i], policy, issuer, result)
		}
	}
}
