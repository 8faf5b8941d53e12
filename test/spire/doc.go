// Package spire has SPIRE, SPIFFE's own server and agent, and Gridway as peers: trust domains
// that federate both ways, a sidecar that joins by an SVID of SPIRE's, workloads of SPIRE
// that call services of a mesh, and SPIRE's clients at a sidecar's Workload API. It is a
// module of its own, and no part of "make test", since SPIRE takes minutes to build:
// "make spire" builds it once, with scripts/spire, and runs the tests. They own every
// process they start.
package spire
