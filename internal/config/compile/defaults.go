package compile

import (
	"time"

	"github.com/gridway/gridway/internal/ir"
)

// This file holds every default that compile fills in. They are meant to be
// safe in production without being touched: nothing waits for ever on a dead
// peer, nothing grows without a bound, and nothing is refused, ejected or sent
// twice that could surprise (retries are one, of requests that are safe to
// repeat, and within a budget). api/v1alpha1 documents the same numbers.

// defaultTimeouts: no limit on a whole exchange, since long downloads and
// streams are legitimate; silence is what is bounded.
func defaultTimeouts() ir.Timeouts {
	return ir.Timeouts{Idle: 5 * time.Minute}
}

// Streams are silent for longer: a pool of database connections may rest for
// many minutes. Clients of UDP say nothing when they are done.
const (
	defaultStreamIdle   = time.Hour
	defaultDatagramIdle = time.Minute
	// defaultDetectTimeout is longer than a client needs that has something to
	// say, and too short for people to notice.
	defaultDetectTimeout = 50 * time.Millisecond
)

const (
	defaultConnectTimeout = 5 * time.Second
	// noConnectTimeout stands for no limit: the kernel gives up long before.
	noConnectTimeout = 24 * time.Hour
)

// defaultRetry: one more try when no response was begun.
func defaultRetry() ir.Retry {
	return ir.Retry{
		Attempts: 1, ConnectFailure: true, Reset: true,
		BackoffBase: 25 * time.Millisecond, BackoffMax: 250 * time.Millisecond,
		MaxReplayBytes: 64 << 10,
	}
}

func defaultRetryBudget() ir.RetryBudget {
	return ir.RetryBudget{Percent: 20, MinPerSecond: 10, Window: 10 * time.Second}
}

func defaultBalance() ir.Balance {
	return ir.Balance{
		Algorithm: ir.LeastRequest, Choices: 2, Decay: 10 * time.Second,
		PanicThreshold: 50, Overprovisioning: 140,
	}
}

const defaultMaglevSize = 65537

func defaultPool() ir.Pool {
	return ir.Pool{MaxIdle: 1024, IdleTimeout: time.Minute, KeepAlive: 15 * time.Second, HeaderBytes: 64 << 10}
}

// The following apply once a policy asks for the feature.

func defaultFailureRate() ir.FailureRate {
	return ir.FailureRate{Percent: 50, MinRequests: 20, Window: 10 * time.Second, OpenFor: 5 * time.Second, HalfOpen: 5}
}

func defaultOutlier() ir.Outlier {
	return ir.Outlier{
		Consecutive5xx: 5, Interval: 10 * time.Second, BaseEjection: 30 * time.Second,
		MaxEjection: 5 * time.Minute, MaxPercent: 50,
	}
}

// meshOutlier is for Services in a mesh whose policy says nothing of it. Workloads come and go
// there without a word at times, and what fails at one is answered by another, which the
// budget of retries allows for a few requests and not for the share of an endpoint.
func meshOutlier() *ir.Outlier {
	return &ir.Outlier{
		ConsecutiveGateway: 5, Interval: 5 * time.Second, BaseEjection: 5 * time.Second, MaxEjection: time.Minute, MaxPercent: 90,
	}
}

const (
	defaultSuccessRateHosts    = 5
	defaultSuccessRateRequests = 100
	defaultSuccessRateStdev    = 190
)

func defaultHealth() ir.Health {
	return ir.Health{Interval: 10 * time.Second, Timeout: 2 * time.Second, HealthyThreshold: 2, UnhealthyThreshold: 3}
}

func defaultHTTPHealth() ir.HTTPHealth {
	return ir.HTTPHealth{Method: "GET", Path: "/", Statuses: []ir.StatusRange{{From: 200, To: 299}}}
}

const defaultHedgeExtra = 1

func defaultAdmission() ir.Admission {
	return ir.Admission{
		MinConcurrency: 4, MaxConcurrency: 1000, Initial: 32,
		MaxQueue: 64, QueueTimeout: 100 * time.Millisecond, DefaultPriority: 5,
	}
}

const (
	defaultFaultPercent = 10000 // every request
	defaultAbortStatus  = 503
)

func defaultCompression() ir.Compression {
	return ir.Compression{
		Algorithms: []string{"zstd", "br", "gzip"}, MinBytes: 1024, Level: 4,
		ContentTypes: []string{
			"text/*", "application/json", "application/javascript", "application/xml", "application/wasm",
			"image/svg+xml", "application/*+json", "application/*+xml",
		},
		MaxRatio: 100, MaxBytes: 100 << 20,
	}
}

const (
	defaultDirectStatus = 200
	defaultDirectType   = "text/plain; charset=utf-8"
	defaultSessionName  = "gridway-session"
	defaultCORSMaxAge   = 5 * time.Second // as the Gateway API says
	defaultRedirect     = 302
)

const (
	defaultMinTTL = time.Second
	defaultMaxTTL = 5 * time.Minute
)

// defaultClusterDomain is the one of Kubernetes.
const defaultClusterDomain = "cluster.local"

// meshClient is how proxies of a mesh treat each other and the application beside
// them. What is forwarded is believed of the one who sends it: both are of the mesh.
// What is quiet stays open, since it is between them and the endpoint, and a client's
// proxy closes idle connections before the server's does.
func meshClient() ir.ClientPolicy {
	p := defaultClient()
	p.TrustedHops, p.KeepRequestID = 1, true
	p.IdleTimeout, p.BodyIdleTimeout = 15*time.Minute, 0
	return p
}

// defaultClient treats clients as strangers: their forwarding headers are
// replaced, and slow ones are cut off.
func defaultClient() ir.ClientPolicy {
	return ir.ClientPolicy{
		XForwarded:       true,
		RequestIDHeader:  "X-Request-Id",
		MaxHeaderBytes:   64 << 10,
		MaxHeaderCount:   100,
		HeaderTimeout:    10 * time.Second,
		IdleTimeout:      time.Minute,
		BodyIdleTimeout:  time.Minute,
		HandshakeTimeout: 10 * time.Second,
	}
}
