package listen

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/snapshot"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/wire/tlsx"
)

// setMesh is setTLS for a listener of the mesh.
func (l *Listener) setMesh(s *snapshot.Listener) error {
	config, err := tlsx.MeshServer(s.IR.Sections, tlsx.MeshOptions{Identities: l.identities, Unknown: l.unknown})
	l.tls.Store(config)
	if err != nil {
		return fmt.Errorf("listener %s: %w", l.name, err)
	}
	return nil
}

// unknown tells of a peer that asks for what is not here: its configuration, or ours,
// is not the newest, or it has the address of another.
func (l *Listener) unknown(hello *tls.ClientHelloInfo) {
	l.strangers.Warn(l.log, "a proxy of the mesh asks for a service that is not here",
		"listener", l.name, "peer", hello.Conn.RemoteAddr(), "server_name", hello.ServerName)
}

// beginMesh does the mutual handshake of the mesh, and chooses the section by the
// server name that the peer asks for.
func (ss *session) beginMesh() bool {
	nc, l := ss.nc, ss.l
	denials := l.guard.Denials()
	if !ss.handshake() {
		return false
	}
	state := nc.TLSState()
	part := ss.s.Part(state.ServerName)
	if part == nil { // the configuration has changed during the handshake
		return false
	}
	who := tlsx.PeerOf(state).ID
	peer, err := l.guard.Add(state, denials, func() { ss.cut(who) })
	if err != nil {
		ss.s.Metrics.HandshakeFailed(metric.HandshakeCertificate)
		l.refused(nc.RemoteAddrPort(), err)
		return false
	}
	ss.peer = peer
	tlsx.Verified(state)
	ss.host = newPartSide(l, part)
	nc.SetWriteBy(0)
	return ss.start(ss.http2(nil))
}

// refused tells of a peer that is not let in for what it is.
func (l *Listener) refused(peer netip.AddrPort, err error) {
	var who *tlsx.IdentityError
	if errors.As(err, &who) {
		l.strangers.Warn(l.log, "a peer was refused", "listener", l.name, "peer", peer, "identity", who.Shown, "error", who.Err)
	}
}

// cut ends the session because its peer was denied.
func (ss *session) cut(who string) {
	ss.l.log.Warn("a connection was cut whose peer was denied", "listener", ss.l.name, "peer", ss.nc.RemoteAddrPort(), "identity", who)
	ss.l.mu.Lock()
	defer ss.l.mu.Unlock()
	ss.kill(filter.IdentityDenied)
}

// partSide is the listener as the connections of one section see it.
type partSide struct {
	*Listener
	section string
	// gone is for a section that is not there any more: what it was last, behind
	// another door, so that the connection ends with what it carries.
	gone *snapshot.Listener
}

func newPartSide(l *Listener, part *snapshot.Listener) partSide {
	gone := *part
	gone.Door++
	return partSide{l, part.Section.Name, &gone}
}

// Current is the section's part of the present configuration.
func (s partSide) Current() *snapshot.Listener {
	if part := s.Listener.Current().PartOf(s.section); part != nil {
		return part
	}
	return s.gone
}

// Draining is true too when the section is gone.
func (s partSide) Draining() bool {
	return s.Listener.Draining() || s.Listener.Current().PartOf(s.section) == nil
}
