package redis

import (
	"crypto/tls"
	"math/bits"
	"net"
	"time"

	"github.com/redis/rueidis"

	"github.com/gridway/gridway/internal/ir"
)

const (
	// bufferSize of a connection, each way: what is sent and answered is short.
	bufferSize = 64 << 10
	// topologyEvery is how often it is asked which Redis is the master, beside the
	// times when one says so.
	topologyEvery = 5 * time.Second
)

// ClientOption is what the client library is told. config is nil for connections
// without TLS.
func ClientOption(cfg *ir.RedisStore, config *tls.Config) rueidis.ClientOption {
	if config != nil {
		config = config.Clone()
		config.NextProtos = nil // Redis has no name in ALPN
	}
	o := rueidis.ClientOption{
		InitAddress: cfg.Addresses, TLSConfig: config, Username: cfg.Username, Password: cfg.Password, SelectDB: cfg.Database,
		ClientName: "gridway", ClientSetInfo: rueidis.DisableClientSetInfo,
		Dialer: net.Dialer{Timeout: cfg.ConnectTimeout}, ConnWriteTimeout: cfg.ConnectTimeout,
		PipelineMultiplex: bits.TrailingZeros(uint(cfg.Connections)), ReadBufferEachConn: bufferSize, WriteBufferEachConn: bufferSize,
		// A charge is not sent twice, and a call that is late does not cost the connection.
		DisableRetry: true, AlwaysPipelining: true, DisableCache: true,
	}
	if o.PipelineMultiplex == 0 {
		o.PipelineMultiplex = -1 // one connection; zero is the library's own choice
	}
	switch cfg.Mode {
	case ir.RedisSentinel:
		o.Sentinel = rueidis.SentinelOption{
			MasterSet: cfg.Master, Username: cfg.SentinelUsername, Password: cfg.SentinelPassword, TLSConfig: config,
			Dialer: o.Dialer, ClientName: o.ClientName, TopologyRefreshInterval: topologyEvery,
		}
	case ir.RedisCluster:
		o.ClusterOption.ShardsRefreshInterval = topologyEvery
	default:
		o.ForceSingleClient = true
	}
	return o
}
