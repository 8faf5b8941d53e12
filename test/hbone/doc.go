// Package hbone connects proxies of Gridway with Istio's own implementation of HBONE,
// the tunnels of its mesh, as client and as server.
//
// It is a module of its own so that Istio is not among Gridway's dependencies.
package hbone
