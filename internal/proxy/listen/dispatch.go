package listen

import (
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/snapshot"
	"github.com/gridway/gridway/internal/proxy/stream"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/wire/bufpool"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
	"github.com/gridway/gridway/internal/wire/opening"
)

// opened says how a connection goes on after its first bytes.
type opened struct {
	// http: with requests. Otherwise it is a stream, or nothing if !ok.
	http, ok bool
	secure   bool // after a TLS handshake
	// outlet is the section that requests belong to, if that is known already.
	outlet *outletSide
	start  stream.Start
}

// speaksFirst tells whether the client has to say something before its
// connection can be served.
func speaksFirst(s *snapshot.Listener) bool {
	if s.IR.Captured { // the section tells
		return false
	}
	return s.IR.Protocol != ir.TCP || s.IR.Client.ProxyProtocol != ir.ProxyProtocolOff
}

// detectTimeout is how long a client may be silent before it counts as one that
// waits for the server; 0 if there is nothing for such clients.
func detectTimeout(s *snapshot.Listener) time.Duration {
	if s.IR.Protocol != ir.Detect || s.Doors.Plain == nil {
		return 0
	}
	return s.IR.Client.DetectTimeout
}

// open reads what comes before the first request, or before the stream.
func (ss *session) open(t *loop.Task) opened {
	if ss.s.Outbound != nil {
		return ss.outbound(t)
	}
	switch s := ss.s; s.IR.Protocol {
	case ir.HTTP:
		return opened{http: true, ok: true}
	case ir.HTTPS:
		return opened{http: true, secure: true, ok: ss.handshake()}
	case ir.TCP:
		return ss.plain()
	case ir.TLS:
		return ss.secure()
	default:
		return ss.detect()
	}
}

// plain is for streams without TLS.
func (ss *session) plain() opened {
	o := opened{ok: true, start: stream.Start{Protocol: "TCP", Reason: filter.RouteNotFound}}
	if door := ss.s.Doors.Plain; door != nil {
		o.start.Route, o.start.Section = door.Route(""), door.IR
	}
	return o
}

// detect finds out what the client speaks (see opening.Detect).
func (ss *session) detect() opened {
	by := handshakeBy(&ss.s.IR.Client)
	if d := detectTimeout(ss.s); d > 0 {
		// What has come in time is looked at, however late that is.
		by = max(netx.MonotonicOf(ss.began)+int64(d), netx.After(time.Millisecond))
	}
	doors := ss.s.Doors
	var served []opening.Kind
	if doors.Secure {
		served = append(served, opening.TLS)
	}
	if doors.Web {
		served = append(served, opening.HTTP1)
	}
	kind, err := sniff(ss.peek, &ss.s.IR.Client, by, served...)
	switch {
	case isEnd(err) && doors.Plain != nil:
		return ss.plain()
	case err != nil && !netx.IsTimeout(err):
		return opened{}
	case kind == opening.TLS && doors.Secure:
		return ss.secure()
	case (kind == opening.HTTP1 || kind == opening.HTTP2) && doors.Web:
		return opened{http: true, ok: true}
	case doors.Plain != nil:
		return ss.plain()
	}
	return opened{ok: true, start: stream.Start{Protocol: "TCP", Reason: filter.ProtocolNotServed}}
}

// peeker reads until enough says so, most bytes were read, or it is by, and leaves what
// it has read to be read again.
type peeker func(most int, by int64, enough func([]byte) bool) error

// sniff finds out what a client speaks, until by. Whoever has begun like one of
// these protocols is slow, and does not wait for the server: it has the time of a
// handshake.
func sniff(peek peeker, client *ir.ClientPolicy, by int64, served ...opening.Kind) (kind opening.Kind, err error) {
	kind, leans := opening.More, opening.Other
	look := func(b []byte) bool {
		kind, leans = opening.Detect(b), opening.Leans(b)
		return kind != opening.More
	}
	err = peek(opening.MaxDetectBytes, by, look)
	if netx.IsTimeout(err) && slices.Contains(served, leans) {
		err = peek(opening.MaxDetectBytes, handshakeBy(client), look)
	}
	return kind, err
}

// isEnd tells that the client has ended its stream: it says no more, and may be
// waiting for the server.
func isEnd(err error) bool { return errors.Is(err, io.EOF) }

// secure is for connections that begin with TLS, to HTTPS or to a stream.
func (ss *session) secure() opened {
	o := opened{ok: true, start: stream.Start{Protocol: "TLS", Reason: filter.RouteNotFound}}
	doors := ss.s.Doors
	if doors.Passthrough {
		hello, err := ss.hello()
		o.start.ServerName = hello
		if err != nil {
			return ss.badHello(err)
		}
		door := doors.Named(hello)
		if door == nil { // a reset, not an alert, as the Gateway API wants it
			return o
		}
		if door.Passthrough {
			o.start.Route, o.start.Section = door.Route(hello), door.IR
			return o
		}
	}
	if !ss.handshake() {
		return opened{}
	}
	o.start.ServerName = strings.ToLower(ss.nc.TLSState().ServerName)
	if door := doors.Named(o.start.ServerName); door != nil {
		o.http, o.secure = door.HTTP, true
		o.start.Route, o.start.Section = door.Route(o.start.ServerName), door.IR
	}
	return o
}

// hello reads the server name that the client asks for, and leaves the bytes to
// be read again.
func (ss *session) hello() (name string, err error) {
	parsed := opening.ErrMore
	err = ss.peek(opening.MaxHelloBytes, handshakeBy(&ss.s.IR.Client), func(b []byte) bool {
		var h opening.Hello
		if h, parsed = opening.ParseHello(b); parsed == opening.ErrMore {
			return false
		}
		name = string(h.ServerName)
		return true
	})
	if err == nil {
		err = parsed
	}
	return name, err
}

// badHello ends a connection whose TLS cannot begin.
func (ss *session) badHello(err error) opened {
	why := metric.HandshakeProtocol
	var broken *opening.Error
	switch {
	case netx.IsTimeout(err):
		why = metric.HandshakeTimeout
	case netx.IsGone(err):
		why = metric.HandshakeClientGone
	case errors.As(err, &broken), err == opening.ErrMore:
		ss.alert(opening.AlertDecode)
	}
	ss.s.Metrics.HandshakeFailed(why)
	ss.l.log.Debug("no TLS handshake", "listener", ss.l.name, "peer", ss.nc.RemoteAddrPort(), "error", err)
	if why != metric.HandshakeProtocol {
		return opened{}
	}
	return opened{ok: true, start: stream.Start{Protocol: "TLS", Reason: filter.InvalidClientHello}}
}

// alert tells a TLS client, in the clear, why its handshake will not be.
func (ss *session) alert(code byte) {
	ss.nc.SetWriteBy(netx.After(refusalTime))
	_, _ = ss.nc.Write(opening.AppendAlert(nil, code))
	_ = ss.nc.CloseWrite()
}

// peek is a peeker of the connection.
func (ss *session) peek(most int, by int64, enough func([]byte) bool) error {
	nc := ss.nc
	nc.SetReadBy(by)
	defer nc.SetReadBy(0)
	buf, n, err := nc.ReadIdle(min(most, bufpool.Small))
	if err != nil {
		return err
	}
	defer func() { buf.Release() }()
	for {
		if enough(buf.B[:n]) || n >= most {
			nc.Unread(buf.B[:n])
			return nil
		}
		if n == len(buf.B) {
			larger := bufpool.Get(most)
			copy(larger.B, buf.B[:n])
			buf.Release()
			buf = larger
		}
		m, err := nc.Read(buf.B[n:min(len(buf.B), most)])
		if n += m; err != nil {
			nc.Unread(buf.B[:n])
			return err
		}
	}
}

// secureSide is the listener as requests inside TLS see it.
type secureSide struct{ *Listener }

func (s secureSide) Current() *snapshot.Listener { return s.Listener.Current().Secure }
