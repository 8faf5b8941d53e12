package access

import "time"

// Token is a token of the admin API, without its text.
type Token struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Role    Role      `json:"role"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"`
	// LastUsed is precise to a minute.
	LastUsed time.Time `json:"lastUsed,omitzero"`
}

// NewToken asks for a token.
type NewToken struct {
	Name string `json:"name"`
	Role Role   `json:"role"`
	// Expires is when the token ends; left out, it does not.
	Expires time.Time `json:"expires,omitzero"`
}

// CreatedToken is a token with its text, which is shown this once.
type CreatedToken struct {
	Token
	Text string `json:"token"`
}

// SubjectOfToken is the subject of who presents the token with an ID.
func SubjectOfToken(id string) string { return "token:" + id }
