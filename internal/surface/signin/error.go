package signin

import "fmt"

// Kind is what stands in the way of a login.
type Kind int

const (
	// Unknown: no such login was begun by this browser, or not lately.
	Unknown Kind = iota + 1
	// Unproven: what the provider says cannot be believed.
	Unproven
	// Denied: the provider or the settings do not let them in.
	Denied
	// Away: the provider cannot be asked.
	Away
)

// Error is why nobody has logged in, in words for the one who wanted to.
type Error struct {
	Kind Kind
	Text string
	// Cause is for logs; it may be nil.
	Cause error
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Text + ": " + e.Cause.Error()
	}
	return e.Text
}

func (e *Error) Unwrap() error { return e.Cause }

func refuse(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Text: fmt.Sprintf(format, args...)}
}

var unknown = refuse(Unknown, "this login was not begun by this browser, has been ended already, or has taken longer than %s; begin again", AttemptLife)

// away says that the provider cannot be asked.
func (p *Provider) away(err error) *Error {
	return &Error{Away, fmt.Sprintf("%s cannot be asked now; try again soon, or log in with a token", p.s.Name), err}
}

// known keeps what others have written out of logs and pages.
func known(code string) string {
	switch code {
	case "invalid_request", "unauthorized_client", "unsupported_response_type", "invalid_scope", // RFC 6749 §4.1.2.1
		"interaction_required", "login_required", "account_selection_required", "consent_required", "request_not_supported", "registration_not_supported":
		return code // OpenID Connect Core 1.0 §3.1.2.6
	}
	return "an error that is none of RFC 6749"
}
