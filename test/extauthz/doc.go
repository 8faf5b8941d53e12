// Package extauthz runs the gridway binary beside a server of external
// authorization with the types of Envoy's go-control-plane on grpc-go, whose
// decisions are Open Policy Agent's: what it is told of requests, and what becomes
// of all that it may answer.
//
// It is a module of its own so that nothing of these is among Gridway's
// dependencies.
package extauthz
