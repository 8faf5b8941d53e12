// Package route finds the rule that serves a request. Build turns the routes of
// a listener's sections into an immutable Table, and Match looks a request up
// in it without allocating, at a cost that hardly depends on how many routes
// there are.
//
// A request is matched in this order, which is the one of the Gateway API:
//
//  1. Section. The request belongs to the section with the most specific
//     hostname that matches its host (listener isolation), and to no other: an
//     exact name before the longest wildcard before no hostname. Over TLS the
//     server name of the handshake has chosen a section already. When the host
//     asks for another one the request is misdirected, and Match says so.
//  2. Hostname. Within the section the hostnames of the attached routes are
//     tried from the most to the least specific. A more specific hostname has
//     precedence, it does not hide the others: when none of its rules match,
//     the next hostname is tried, because the API asks for 404 only if no
//     attached rule matches.
//  3. Path: an exact path, then regular expressions from the longest to the
//     shortest text, then prefixes from the longest to the shortest. The API
//     leaves the place of regular expressions open. They come before prefixes
//     here, as in Envoy Gateway and NGINX, because somebody who writes an
//     expression beside a prefix means an exception to it. Matches of a
//     GRPCRoute that name a service or a method alone, or expressions for them,
//     go by the length of the service, then of the method.
//  4. A match that names a method, then the larger number of header matches,
//     then of query parameter matches.
//  5. The older route, then the one whose "namespace/name" sorts first, then
//     the first rule and the first match in it.
//
// A candidate that fails one of its conditions is passed over for the next, down
// to the shortest prefix of the least specific hostname.
//
// The package owns no goroutines. It imports ir and httpmsg only; the snapshot,
// the pipeline and the offline tools import it.
package route
