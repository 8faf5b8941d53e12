// Package syntax reads the elements that the protocols of HTTP have in common:
// tokens, field values, authorities, request targets, lengths (RFC 9110, RFC
// 3986). Its functions keep slices of what they are given and allocate nothing;
// what must be changed goes to the message's arena. It owns no goroutines and
// imports httpmsg and the standard library only; the codecs import it.
package syntax
