// Package opening reads how a connection begins: which protocol its first bytes
// belong to, and which server a TLS client asks for. Its functions look at bytes
// and say whether they need more of them; they keep nothing, allocate next to
// nothing, and never need more than MaxHelloBytes. The package imports the
// standard library only, and any package of proxy may import it.
package opening
