// This module pins the Gateway API's conformance suite, whose manifests the
// tests of internal/config/compile read. Nothing of it is linked into Gridway.
module github.com/gridway/gridway/test/conformance

go 1.26.8

require sigs.k8s.io/gateway-api/conformance v1.6.3 // indirect
