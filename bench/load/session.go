package load

import (
	"context"
	"net/http"
)

// Traffic is what a target's clients speak.
type Traffic int

// The kinds of traffic.
const (
	HTTP1      Traffic = iota
	HTTP2              // by ALPN, or by prior knowledge without TLS
	GRPC               // unary calls over HTTP/2 with a message of GRPCBytes
	GRPCStream         // each request is a message on a stream that stays open, and its echo
	WebSocket          // each request is a message on a connection that stays open, and its echo
)

// session makes requests, one after the other.
type session interface {
	Connect(context.Context) error
	// Do makes the i-th request and reads its response to the end.
	Do(ctx context.Context, i int) error
	Close()
}

// multiplexed tells that several sessions share a connection.
func (t Traffic) multiplexed() bool { return t == HTTP2 || t == GRPC || t == GRPCStream }

// sessions makes those of conns connections. None is open yet.
func (t Target) sessions(conns int) []session {
	var all []session
	for range conns {
		if !t.Traffic.multiplexed() {
			if t.Traffic == WebSocket {
				all = append(all, &webSocket{t: t})
			} else {
				all = append(all, NewClient(t))
			}
			continue
		}
		shared := t.transport()
		for range max(1, t.Streams) {
			if t.Traffic == GRPCStream {
				all = append(all, &grpcStream{t: t, transport: shared})
			} else {
				all = append(all, &http2Client{t: t, transport: shared})
			}
		}
	}
	return all
}

// Probe makes one request as the target's clients do.
func Probe(ctx context.Context, t Target) error {
	t.Streams = 1
	if t.Traffic == GRPCStream {
		t.Traffic = GRPC
	}
	s := t.sessions(1)[0]
	defer s.Close()
	return s.Do(ctx, 0)
}

// transport has one connection, on which HTTP/2 is spoken.
func (t Target) transport() *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP2(t.TLS != nil)
	protocols.SetUnencryptedHTTP2(t.TLS == nil)
	return &http.Transport{
		TLSClientConfig: t.TLS.Clone(), Protocols: &protocols, DisableCompression: true,
		HTTP2: &http.HTTP2Config{StrictMaxConcurrentRequests: true},
	}
}

func (t Target) url() string {
	if t.TLS != nil {
		return "https://" + t.Addr + t.Path
	}
	return "http://" + t.Addr + t.Path
}
