// Package distrib takes configuration from a control plane to its proxies.
//
// A compiled configuration is a set of resources, each an item of it with the hash of
// its content (Split, Join). A control plane has a view for each proxy, the resources
// that this one needs (Views), and one stream to each, on which it sends what differs
// between what the proxy has and its view of now (Server). A proxy applies that, keeps
// it on disk, and says what it serves (Client).
//
// What a view is made of is decided elsewhere; here nothing is known of services but
// their names. The package imports ir and meshpb; the data plane does not import it.
// Goroutines belong to Server.Run, Server.Stream and Client.Run, which wait for them.
package distrib
