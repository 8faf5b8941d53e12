// Package v1alpha1 holds Gridway's own configuration kinds, group gridway.dev.
// They stand beside the kinds of the Kubernetes Gateway API and follow its
// manner: camelCase fields, durations in the format of GEP-2257, references by
// group, kind and name, status by conditions.
//
// The Go types with their kubebuilder markers are the single source. Deep
// copies, the CRD manifests under deploy/crds, the JSON Schema under
// docs/schema and the pages under docs/reference are generated from them by
// "make generate".
//
// The package owns no goroutines. Sources, compile, status and the CLI import
// it; the data plane never does.
//
// +kubebuilder:object:generate=true
// +groupName=gridway.dev
package v1alpha1
