package metric

import "github.com/prometheus/client_golang/prometheus"

// Family describes one metric as docs/reference/metrics.md lists it.
type Family struct {
	Name, Type, Help string
	Labels           []string
}

const (
	counter = "counter"
	gauge   = "gauge"
	histo   = "histogram"
)

// family is a Family with its descriptor.
type family struct {
	Family
	desc *prometheus.Desc
}

func define(name, kind, help string, labels ...string) family {
	return family{Family{name, kind, help, labels}, prometheus.NewDesc(name, help, labels, nil)}
}

// redFamilies are the families of one kind of red.
type redFamilies struct{ requests, duration, in, out, reasons family }

var (
	routeFamilies = redFamilies{
		define("gridway_route_requests_total", counter, "Exchanges by rule and status sent to the client.", "route", "rule", "code", "code_class"),
		define("gridway_route_request_duration_seconds", histo, "Time from the end of the request's head to the end of the response.", "route", "rule"),
		define("gridway_route_request_bytes_total", counter, "Bytes of request bodies.", "route", "rule"),
		define("gridway_route_response_bytes_total", counter, "Bytes of response bodies.", "route", "rule"),
		define("gridway_route_reasons_total", counter, "What went wrong in exchanges, by reason; one exchange may have several.", "route", "rule", "reason"),
	}
	clusterFamilies = redFamilies{
		define("gridway_cluster_tries_total", counter, "Tries by cluster and status of the upstream; code none is a try without an answer.", "cluster", "code", "code_class"),
		define("gridway_cluster_try_duration_seconds", histo, "Time from the choice of an endpoint to the end of its response.", "cluster"),
		define("gridway_cluster_request_bytes_total", counter, "Bytes of request bodies sent upstream.", "cluster"),
		define("gridway_cluster_response_bytes_total", counter, "Bytes of response bodies received from upstream.", "cluster"),
		define("gridway_cluster_reasons_total", counter, "What went wrong in tries, by reason.", "cluster", "reason"),
	}
	listenerFamilies = redFamilies{
		define("gridway_listener_unrouted_requests_total", counter, "Exchanges that reached no rule, by status sent to the client.", "listener", "code", "code_class"),
		define("gridway_listener_unrouted_request_duration_seconds", histo, "Time of exchanges that reached no rule.", "listener"),
		define("gridway_listener_unrouted_request_bytes_total", counter, "Bytes of request bodies of exchanges that reached no rule.", "listener"),
		define("gridway_listener_unrouted_response_bytes_total", counter, "Bytes of response bodies of exchanges that reached no rule.", "listener"),
		define("gridway_listener_unrouted_reasons_total", counter, "Why exchanges reached no rule.", "listener", "reason"),
	}
)

var (
	routeStreamsFamily      = define("gridway_route_streams", gauge, "Streams under way: WebSockets and other tunnels, server-sent events and other responses of unannounced length, calls of gRPC.", "route", "rule")
	websocketsFamily        = define("gridway_route_websocket_connections", gauge, "WebSocket connections open now.", "route", "rule")
	websocketsOpenedFamily  = define("gridway_route_websocket_connections_opened_total", counter, "WebSocket connections whose opening handshake has succeeded.", "route", "rule")
	websocketMessagesFamily = define("gridway_route_websocket_messages_total", counter, "WebSocket messages, without control frames, by who has sent them.", "route", "rule", "from")
	websocketBytesFamily    = define("gridway_route_websocket_bytes_total", counter, "Bytes of WebSocket frames, with their headers, by who has sent them.", "route", "rule", "from")
	websocketClosesFamily   = define("gridway_route_websocket_closes_total", counter, "Ends of WebSocket connections, by who has ended it and the code of the first Close frame; 1005 is one without a code, 1006 an end without one.", "route", "rule", "by", "code")

	retriesFamily        = define("gridway_cluster_retries_total", counter, "Tries after the first.", "cluster")
	retriesDeniedFamily  = define("gridway_cluster_retries_denied_total", counter, "Retries that the retry budget or the breaker did not allow.", "cluster")
	hedgesFamily         = define("gridway_cluster_hedges_total", counter, "Extra tries beside a slow one.", "cluster")
	hedgesWonFamily      = define("gridway_cluster_hedges_won_total", counter, "Hedges that answered first.", "cluster")
	poolFamily           = define("gridway_cluster_pool_requests_total", counter, "Connections asked of the pool: hit, miss, or stale (closed by the upstream while idle).", "cluster", "result")
	connectFamily        = define("gridway_cluster_connect_duration_seconds", histo, "Time to make a connection, TLS included.", "cluster")
	connectFailureFamily = define("gridway_cluster_connect_failures_total", counter, "Connections that were not made.", "cluster", "reason")
	breakerFamily        = define("gridway_cluster_breaker_rejections_total", counter, "Work refused by the circuit breaker, by limit.", "cluster", "limit")
	ejectionFamily       = define("gridway_cluster_outlier_ejections_total", counter, "Endpoints ejected by outlier detection, by cause.", "cluster", "cause")
	returnFamily         = define("gridway_cluster_outlier_returns_total", counter, "Ejected endpoints that came back.", "cluster")
	healthFamily         = define("gridway_cluster_health_checks_total", counter, "Active health checks by result.", "cluster", "result")
	healthChangeFamily   = define("gridway_cluster_health_changes_total", counter, "Endpoints whose health checks changed their verdict.", "cluster", "to")
	breakerChangeFamily  = define("gridway_cluster_breaker_changes_total", counter, "Changes of the breaker by failure rate.", "cluster", "to")
	endpointUpdateFamily = define("gridway_cluster_endpoint_updates_total", counter, "Changes of the endpoints by discovery.", "cluster")
	endpointsFamily      = define("gridway_cluster_endpoints", gauge, "Endpoints by state.", "cluster", "state")
	activeFamily         = define("gridway_cluster_active_requests", gauge, "Tries under way.", "cluster")
	pendingFamily        = define("gridway_cluster_pending_requests", gauge, "Tries waiting for a connection.", "cluster")
	retriesNowFamily     = define("gridway_cluster_active_retries", gauge, "Retries under way.", "cluster")
	retriesLeftFamily    = define("gridway_cluster_retries_left", gauge, "Retries that the budget of the cluster allows now, where it has one.", "cluster")
	connectionsFamily    = define("gridway_cluster_connections", gauge, "Upstream connections, active or idle.", "cluster", "state")
	breakerStateFamily   = define("gridway_cluster_breaker_state", gauge, "Breaker by failure rate: 0 closed, 1 half-open, 2 open.", "cluster")

	unroutedStreamFamily  = define("gridway_listener_unrouted_streams_total", counter, "Connections and sessions that reached no route, by reason.", "listener", "reason")
	acceptedFamily        = define("gridway_listener_connections_accepted_total", counter, "Connections accepted.", "listener")
	openFamily            = define("gridway_listener_connections", gauge, "Connections open now.", "listener")
	acceptErrorFamily     = define("gridway_listener_accept_errors_total", counter, "Failed accepts, such as for want of descriptors.", "listener")
	rejectedFamily        = define("gridway_listener_connections_rejected_total", counter, "Connections closed before their first request.", "listener", "reason")
	handshakeFamily       = define("gridway_listener_tls_handshakes_total", counter, "TLS handshakes by version.", "listener", "version")
	resumedFamily         = define("gridway_listener_tls_resumptions_total", counter, "TLS handshakes that resumed a session.", "listener")
	handshakeTimeFamily   = define("gridway_listener_tls_handshake_duration_seconds", histo, "Time of TLS handshakes.", "listener")
	handshakeFailedFamily = define("gridway_listener_tls_handshake_failures_total", counter, "TLS handshakes that failed.", "listener", "reason")
	protocolFamily        = define("gridway_listener_protocol_errors_total", counter, "Requests and HTTP/2 connections that the parser refused, by its code.", "listener", "code")
	http2AcceptedFamily   = define("gridway_listener_http2_connections_accepted_total", counter, "Connections that have spoken HTTP/2.", "listener")
	http2Family           = define("gridway_listener_http2_connections", gauge, "HTTP/2 connections open now.", "listener")
	streamsFamily         = define("gridway_listener_http2_streams", gauge, "Requests under way on HTTP/2 connections.", "listener")
	resetFamily           = define("gridway_listener_http2_resets_total", counter, "Streams reset, by the client or by gridway, by error code.", "listener", "by", "code")
	goAwayFamily          = define("gridway_listener_http2_goaways_total", counter, "HTTP/2 connections that Gridway has ended, by reason.", "listener", "reason")
	http3AcceptedFamily   = define("gridway_listener_http3_connections_accepted_total", counter, "Connections that have spoken HTTP/3.", "listener")
	http3Family           = define("gridway_listener_http3_connections", gauge, "HTTP/3 connections open now.", "listener")
	streams3Family        = define("gridway_listener_http3_streams", gauge, "Requests under way on HTTP/3 connections.", "listener")
	reset3Family          = define("gridway_listener_http3_resets_total", counter, "HTTP/3 streams reset, by the client or by gridway, by error code.", "listener", "by", "code")
	goAway3Family         = define("gridway_listener_http3_goaways_total", counter, "HTTP/3 connections that Gridway has ended, by reason.", "listener", "reason")
	retriedFamily         = define("gridway_listener_http3_retries_total", counter, "QUIC clients that had to prove their address first (Retry).", "listener")
	earlyFamily           = define("gridway_listener_http3_early_requests_total", counter, "Requests served from early data (0-RTT).", "listener")

	admissionLimitFamily    = define("gridway_admission_limit", gauge, "Adaptive concurrency limit now.", "scope")
	admissionActiveFamily   = define("gridway_admission_in_flight", gauge, "Exchanges that hold a place under the limit.", "scope")
	admissionQueuedFamily   = define("gridway_admission_queued", gauge, "Exchanges that wait for a place.", "scope")
	admissionBaselineFamily = define("gridway_admission_baseline_seconds", gauge, "Latency without queueing as it was found out, or the target.", "scope")
	admissionLatencyFamily  = define("gridway_admission_latency_seconds", gauge, "Mean latency of the last window.", "scope")
	admissionFamily         = define("gridway_admission_decisions_total", counter, "What admission control decided, by result.", "scope", "result")

	revisionFamily   = define("gridway_config_revision", gauge, "Revision in service.")
	reloadsFamily    = define("gridway_config_reloads_total", counter, "Configurations put in service, or not.", "result")
	reloadTimeFamily = define("gridway_config_last_reload_timestamp_seconds", gauge, "Unix time of the last revision put in service.")
	reloadTookFamily = define("gridway_config_last_reload_duration_seconds", gauge, "Time it took to put the last revision in service.")
	reloadOKFamily   = define("gridway_config_last_reload_successful", gauge, "1 if the last reload succeeded.")
	problemsFamily   = define("gridway_config_problems", gauge, "Problems of the configuration by severity.", "severity")
	objectsFamily    = define("gridway_config_objects", gauge, "Objects of the configuration by kind.", "kind")
	accessLogFamily  = define("gridway_access_log_entries_total", counter, "Access log entries: written, dropped for want of room, or lost in a failed write.", "result")
	logFamily        = define("gridway_log_lines_total", counter, "Lines of the process's own log: written, dropped because its output took none, or lost in a failed write.", "result")
	notBeforeFamily  = define("gridway_certificate_not_before_timestamp_seconds", gauge, "Unix time from which a certificate that was issued automatically is valid.", "certificate", "issuer")
	notAfterFamily   = define("gridway_certificate_not_after_timestamp_seconds", gauge, "Unix time at which it expires.", "certificate", "issuer")
	nextTryFamily    = define("gridway_certificate_next_try_timestamp_seconds", gauge, "Unix time at which the authority is asked next: for a renewal, or once more.", "certificate", "issuer")
	inARowFamily     = define("gridway_certificate_failures", gauge, "Tries to have it issued that failed, since the last that succeeded.", "certificate", "issuer")
	issuanceFamily   = define("gridway_certificate_tries_total", counter, "Tries of this process to have it issued: issued or failed.", "certificate", "issuer", "result")
	readyFamily      = define("gridway_ready", gauge, "1 while the process is ready for traffic.")
	buildInfoFamily  = define("gridway_build_info", gauge, "Always 1; the labels say what is running.", "version", "commit", "go_version")
	allOtherFamilies = []family{
		routeStreamsFamily, websocketsFamily, websocketsOpenedFamily, websocketMessagesFamily, websocketBytesFamily, websocketClosesFamily,
		retriesFamily, retriesDeniedFamily, hedgesFamily, hedgesWonFamily, poolFamily, connectFamily, connectFailureFamily,
		breakerFamily, ejectionFamily, returnFamily, healthFamily, healthChangeFamily, breakerChangeFamily, endpointUpdateFamily, endpointsFamily, activeFamily,
		pendingFamily, retriesNowFamily, retriesLeftFamily, connectionsFamily, breakerStateFamily,
		unroutedStreamFamily, acceptedFamily, openFamily, acceptErrorFamily, rejectedFamily, handshakeFamily, resumedFamily, handshakeTimeFamily,
		handshakeFailedFamily, protocolFamily, http2AcceptedFamily, http2Family, streamsFamily, resetFamily, goAwayFamily,
		http3AcceptedFamily, http3Family, streams3Family, reset3Family, goAway3Family, retriedFamily, earlyFamily,
		admissionLimitFamily, admissionActiveFamily, admissionQueuedFamily, admissionBaselineFamily, admissionLatencyFamily, admissionFamily,
		revisionFamily, reloadsFamily, reloadTimeFamily, reloadTookFamily, reloadOKFamily, problemsFamily, objectsFamily,
		accessLogFamily, logFamily, recordsFamily, recordsLostFamily, recordsBytesFamily, recordsLimitFamily, sinkRecordsFamily, sinkLostFamily, sinkRetriesFamily, sinkItemsFamily, sinkItemsLimitFamily, sinkBytesFamily, sinkBytesLimitFamily, sinkSuccessFamily, sinkFailureFamily, loopSocketsFamily, loopQueuedFamily, loopBusyFamily, loopTakenFamily, notBeforeFamily, notAfterFamily, nextTryFamily, inARowFamily, issuanceFamily, electedFamily, electionTermFamily, readyFamily, buildInfoFamily,
	}
)

// families lists all there are, in the order of the documentation.
func families() (all []family) {
	for _, f := range []redFamilies{routeFamilies, clusterFamilies, listenerFamilies} {
		all = append(all, f.requests, f.duration, f.in, f.out, f.reasons)
	}
	all = append(all, streamFamilies.all()...)
	all = append(all, mirrorFamily, mirrorTimeFamily)
	all = append(all, callFamily, policyFamily, dependencyFamily, discoveryEndpointsFamily, discoveryFailuresFamily, discoveryAnsweredFamily, methodFaultsFamily, methodMemoryFamily, rateLimitFamily, rateLimitKeysFamily, rateLimitSharedFamily, keySetKeysFamily, keySetFetchesFamily, keySetFetchedFamily)
	all = append(all, rateLimitFallbacksFamily, storeCallsFamily, storeUpFamily, storeTimeFamily, storeLostFamily, decidingFamily, askingFamily, answersFamily, loginsFamily, loginRefreshesFamily, tokenRequestsFamily, tokenKeysFamily, callerTokensFamily)
	all = append(all, meshFamilies...)
	all = append(all, edgeFamilies...)
	all = append(all, allOtherFamilies...)
	all = append(all, configuredFamilies...)
	return append(all, setsFamily, setsLimitFamily, setsFoldedFamily)
}

// Families describes every metric of Gridway's own.
func Families() (out []Family) {
	for _, f := range families() {
		out = append(out, f.Family)
	}
	return out
}
