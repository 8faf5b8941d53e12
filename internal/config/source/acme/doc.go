// Package acme is the source of the certificates that listeners want from
// CertificateIssuers: it asks certificate authorities for them by ACME (RFC
// 8555), renews them in time (RFC 9773 or at two thirds of their life), and
// delivers them as Secrets. What it obtains is kept in a Storage, by which
// several edges share accounts, certificates, answers to challenges, and the
// pauses after failures: of edges with one Storage one asks, and all serve.
//
// Nothing here takes a certificate away: whatever fails, the last one goes on
// serving.
//
// A Source owns one goroutine per order, which Run waits for. App imports this
// package; the data plane sees it as the interface that answers challenges.
package acme
