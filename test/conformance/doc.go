// Package conformance runs the Gateway API's conformance suite against the
// gridway binary. There is no cluster: an API server in memory takes the
// suite's objects and writes them to files that gridway run watches, Deployments
// become processes of the suite's own echo server, and statuses are what the
// admin API says.
//
// It is a module of its own so that nothing of the suite, or of Kubernetes'
// clients, is among Gridway's dependencies.
package conformance
