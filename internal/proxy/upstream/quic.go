package upstream

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/gridway/gridway/internal/proxy/upstream/http3"
	"github.com/gridway/gridway/internal/wire/netx"
)

// dialQUIC makes a connection for HTTP/3, which the caller has counted.
func (e *Endpoint) dialQUIC(a *Ask, by int64) (sharedConn, error) {
	c := e.cluster
	a.Task.Detach()
	began := netx.Monotonic()
	most := min(by, began+int64(c.connectTimeout()))
	ctx, cancel := context.WithTimeoutCause(context.Background(), time.Duration(most-began), errConnectTimeout)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	if a.Gone != nil {
		watching.Go(func() { watchClient(ctx, cancel, a.Gone) })
	}
	config := c.quic
	if host := e.Hostname(); config.ServerName == "" && host != "" {
		config = config.Clone()
		config.ServerName = host
	}
	cfg := c.cfg.Load()
	conn, err := http3.Dial(ctx, e.address, config, http3.Options{
		HeaderBytes: headerBytes(cfg.Pool.HeaderBytes), HeaderCount: maxResponseHeaders,
		Idle: c.rules.IdleTimeout, Lifetime: c.rules.MaxLifetime, Requests: c.rules.MaxRequests,
		Over: func(conn *http3.Conn) { e.shared.over(conn) },
	})
	if err != nil {
		err = &ConnectError{Address: e.address, Kind: quicFailure(ctx, err, by == a.By), Err: err}
	}
	c.metrics.Connected(time.Duration(netx.Monotonic()-began), err)
	if err != nil {
		return nil, err
	}
	e.shared.begun(e, conn)
	conn.Start()
	return conn, nil
}

var errConnectTimeout = errors.New("the endpoint did not answer in time")

// quicFailure says why there is no connection. exchange tells that the exchange's
// own time was the bound.
func quicFailure(ctx context.Context, err error, exchange bool) OutcomeKind {
	var transport *quic.TransportError
	switch {
	case errors.As(err, &transport) && transport.ErrorCode.IsCryptoError():
		return TLSFailure
	case ctx.Err() == nil:
		return ConnectFailure
	case context.Cause(ctx) != errConnectTimeout:
		return Cancelled
	case exchange:
		return Timeout
	}
	return ConnectFailure
}

// watchClient gives the handshake up when the client has gone.
func watchClient(ctx context.Context, cancel context.CancelFunc, gone func() bool) {
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			if gone() {
				cancel()
				return
			}
		}
	}
}
