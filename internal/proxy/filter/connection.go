package filter

import "github.com/gridway/gridway/internal/ir"

// Connection is what is known of one that is opened and carries no requests. An
// Exchange that has it stands for the connection; its request is empty.
type Connection struct {
	// Port is what the client has asked for: that of a Service in the mesh, and
	// otherwise the listener's.
	Port uint16
	// ServerName is what a client with TLS of its own has asked for, in lower case;
	// empty for none, and where the handshake is that of another proxy of the mesh.
	ServerName string
}

// Port is what the client has asked for: that of the Service that the section is for
// or, where it is for none, the listener's.
func (x *Exchange) Port() uint16 {
	if x.Connection != nil {
		return x.Connection.Port
	}
	return PortOf(x.Section, x.LocalAddr.Port())
}

// PortOf is the port that clients of a section ask for, which is otherwise the listener's.
func PortOf(s *ir.Section, listener uint16) uint16 {
	if s != nil && s.ServicePort != 0 {
		return s.ServicePort
	}
	return listener
}

// ServerName is what the client has named in its TLS handshake; empty for none, and
// where the handshake is that of another proxy of the mesh.
func (x *Exchange) ServerName() string {
	if x.Connection != nil {
		return x.Connection.ServerName
	}
	if x.TLS == nil || x.Section != nil && x.Section.ServicePort != 0 {
		return ""
	}
	return x.TLS.ServerName
}
