// Package join is how proxies get into a mesh and stay there: a proxy's end of the service
// gridway.mesh.v1.Join, by which it gets its first SVID, the next ones, and JWT-SVIDs for
// its workload. Package admit is the control plane's end.
//
// A new machine has a token and an address, and no certificate to verify the control plane
// by. It connects without verifying, and the control plane proves by an HMAC under a key
// from the token that the trust bundle it shows is its own and that the connection is this
// one: the TLS exporter (RFC 9266) is in the HMAC, so that whoever sits between and speaks
// TLS to both has two connections with two exporters, and can pass on neither proof. Then
// the proxy verifies the certificate of the connection by that bundle, and only then proves
// the token itself, over its signing request. Nothing is copied to a machine beforehand but
// the token, and nobody who listens learns anything of it.
//
// The package owns no goroutines but those of grpc-go. It may be imported by member, app
// and cli, and reaches neither SQL nor the authority.
package join
