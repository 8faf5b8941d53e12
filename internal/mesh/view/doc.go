// Package view makes the configuration that each proxy of a mesh needs, out of what was
// compiled and of the workloads that are registered:
//
//   - for each workload that it stands before, a section of the listener that other
//     proxies come to, with what guards the Service;
//   - for each service that it uses, a section of the listeners that applications come
//     to, with the routes for clients of its namespace;
//   - for an edge, the listeners of Gateways;
//   - and whatever routes of these name, and nothing else.
//
// What proxies share is made once. The package starts no goroutine but Views.Run's,
// which its caller waits for. It may be imported by what is of the control plane.
package view
