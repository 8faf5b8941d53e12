package filter

// Fault is a stable code for what is wrong with a credential, or why nobody can
// tell. Operators see it in the access log, in metrics and in explain; clients never
// do, since it would help who tries to guess.
type Fault uint8

const (
	FaultNone Fault = iota
	// FaultOther: something that has no code of its own.
	FaultOther
	FaultMalformed // it cannot be read
	FaultAmbiguous // one place holds several
	FaultUnknown   // nobody has such a key, name, key ID or certificate
	FaultPassword  // the name is known, the password is another
	FaultSignature // the signature is not the key's
	FaultKeyID     // none of the issuer's keys is meant
	FaultAlgorithm // its algorithm is not accepted
	FaultType      // "typ" is not accepted
	FaultIssuer    // it is of an issuer who is not known
	FaultAudience  // it is for others
	FaultClaims    // what it says is not what is wanted
	FaultExpired
	FaultNotYet // its time has not come
	FaultRevoked
	FaultInactive   // a server says that the token is not active
	FaultConsumer   // it is good, and none of the Consumers is meant
	FaultReplayed   // what may be used once was used before
	FaultCoverage   // the signature does not cover what it must
	FaultDigest     // the body is not what its digest says
	FaultUnverified // the listener has not verified the certificate
	FaultNoRule     // no rule allows the certificate
	FaultSession    // the session is over, or none of the gateway's
	FaultDenied     // the server that was asked refuses
	FaultNoKeys     // the issuer's keys are not there
	FaultNoAnswer   // the server that is to say cannot be asked
	FaultBusy       // too many credentials are being looked at
	FaultRequest    // it was made for another request
	FaultUntrusted  // nobody who is trusted proves who has made it
	faultCount
)

var _ [32 - faultCount]struct{} // so many are counted

var faultNames = [faultCount]string{
	"", "other", "malformed", "ambiguous", "unknown", "wrong_password", "bad_signature", "unknown_kid", "algorithm", "type",
	"issuer", "audience", "claims", "expired", "not_yet_valid", "revoked", "inactive", "no_consumer", "replayed", "coverage",
	"body_digest", "unverified", "not_allowed", "session_over", "denied", "no_keys", "no_answer", "busy",
	"other_request", "untrusted",
}

// String returns the code, for example "expired".
func (f Fault) String() string {
	if f < faultCount {
		return faultNames[f]
	}
	return faultNames[FaultOther]
}

// FaultNames lists the codes by number; the first, for none, is empty.
func FaultNames() []string { return faultNames[:] }

// Faulted is a credential that was refused: the method that has looked at it, and
// what it has found.
type Faulted struct {
	Method string
	Fault  Fault
}

// Found says what is wrong with the credential that a method looks at. The last word
// counts.
func (x *Exchange) Found(f Fault) { x.fault = f }

// TakeFault returns what was found since it was called last.
func (x *Exchange) TakeFault() Fault {
	f := x.fault
	x.fault = FaultNone
	return f
}
