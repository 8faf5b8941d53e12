// Package membership says who may be in the mesh: the tokens by which machines join, the
// identities and certificates that are denied, and what has been issued. Package
// membershipdb keeps it, in the state store.
//
// It is data that the admin API, its client and commands carry.
package membership

import (
	"time"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/jointoken"
)

const (
	// DefaultExpiry is how long a join token is good for, unless somebody says otherwise;
	// MaxExpiry is the longest.
	DefaultExpiry = time.Hour
	MaxExpiry     = 366 * 24 * time.Hour
	// MaxPage bounds the identities of one answer.
	MaxPage = 1000
)

// Token is a join token, without its secret.
type Token struct {
	ID string `json:"id"`
	// Grants is what may be asked for with it.
	Grants  jointoken.Grants `json:"grants"`
	Created time.Time        `json:"created"`
	Expires time.Time        `json:"expires"`
	// MaxUses is 0 for any number until it expires.
	MaxUses  int64     `json:"maxUses"`
	Uses     int64     `json:"uses"`
	LastUsed time.Time `json:"lastUsed,omitzero"`
}

// NewToken asks for a join token.
type NewToken struct {
	// Role is workload or node; left out, it is workload.
	Role identity.Role `json:"role,omitempty"`
	// Namespaces and Services are those of workloads, Nodes those of nodes: names, or
	// beginnings of names with * behind them. Namespaces left out are "default". Of nodes
	// Services are those of the workloads that they may have; without any, none.
	Namespaces []string `json:"namespaces,omitempty"`
	Services   []string `json:"services,omitempty"`
	Nodes      []string `json:"nodes,omitempty"`
	// Uses is how many machines may join by it: 1 if it is left out, and 0 with Reusable
	// is any number.
	Uses     int64 `json:"uses,omitempty"`
	Reusable bool  `json:"reusable,omitempty"`
	// Expires is when it ends, an hour from now if it is left out, a year at most.
	Expires time.Time `json:"expires,omitzero"`
}

// CreatedToken is a token with its text, which is shown this once.
type CreatedToken struct {
	Token
	Text string `json:"token"`
}

// Denial refuses an identity, one certificate, or a certificate of an identity.
type Denial struct {
	// ID is a SPIFFE ID; Serial is a certificate's serial number, in hexadecimal.
	ID     string `json:"id,omitempty"`
	Serial string `json:"serial,omitempty"`
	// Expires is when it ends; left out, it does not.
	Expires time.Time `json:"expires,omitzero"`
	Reason  string    `json:"reason,omitempty"`
	// Created is when it was made.
	Created time.Time `json:"created,omitzero"`
}

// Certificate is an SVID that is alive.
type Certificate struct {
	ID     string    `json:"id"`
	Serial string    `json:"serial"`
	Issued time.Time `json:"issued"`
	Ends   time.Time `json:"ends"`
	// Via is how its owner proved who it is; Peer is where it asked from.
	Via  string `json:"via"`
	Peer string `json:"peer,omitempty"`
}
