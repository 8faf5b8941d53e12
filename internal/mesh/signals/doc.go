// Package signals is what a control plane knows of traffic: aggregates by edge of the
// service graph, added up over all proxies, at a resolution that falls with age. A Table
// has them in memory of a fixed size; it answers who speaks to whom (Graph) and how that
// has changed (Series).
//
// The package knows neither proxies nor the state store and starts no goroutines; what
// proxies report is put in by who receives it. `gridway run` without a mesh has a Table,
// too, into which its own proxy's aggregates go.
package signals
