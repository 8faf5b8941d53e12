package ir

import "time"

// Revocation says how revoked certificates are found.
type Revocation struct {
	// List is the name of a list of the configuration.
	List string `json:"list"`
	// LeafOnly leaves the certificates of authorities out.
	LeafOnly bool `json:"leafOnly,omitempty"`
	// PassStale and PassMissing let certificates through of whose issuer there is an old
	// list, or none.
	PassStale   bool `json:"passStale,omitempty"`
	PassMissing bool `json:"passMissing,omitempty"`
}

// RevocationLists are what a method of authentication knows of revoked certificates.
type RevocationLists struct {
	// Name is "namespace/policy/method".
	Name string `json:"name"`
	// Policy is "namespace/name" of the AuthenticationPolicy.
	Policy string `json:"policy"`
	CRLs   []*CRL `json:"crls,omitempty"`
	// Broken: some of the lists are not known.
	Broken bool `json:"broken,omitempty"`
}

// CRL is all that an authority has revoked (RFC 5280 §5). One that did not change is
// the same pointer as in the configuration before.
type CRL struct {
	// From is the ConfigMap and its entry.
	From string `json:"from"`
	// Issuer is as RFC 4514 writes it; Number is empty if the list has none.
	Issuer     string    `json:"issuer"`
	Number     string    `json:"number,omitempty"`
	ThisUpdate time.Time `json:"thisUpdate"`
	// NextUpdate is zero where the list does not say.
	NextUpdate time.Time `json:"nextUpdate,omitzero"`
	// Revoked is how many certificates are on it.
	Revoked int `json:"revoked"`
	// DER is the list as it was signed.
	DER []byte `json:"der"`
}
