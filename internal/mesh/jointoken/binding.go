package jointoken

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
)

// exporterLabel is that of the channel binding "tls-exporter" (RFC 9266 §2), of 32 bytes.
const (
	exporterLabel = "EXPORTER-Channel-Binding"
	exporterSize  = 32
)

// Binding is what a connection has that no other has (RFC 9266), Transcript.Exporter. It
// needs TLS 1.3.
func Binding(s *tls.ConnectionState) ([]byte, error) {
	if s.Version < tls.VersionTLS13 {
		return nil, errors.New("joining needs TLS 1.3")
	}
	return s.ExportKeyingMaterial(exporterLabel, nil, exporterSize)
}

// Request is what ProxyProof is over: the identity that is asked for, of whose names those
// that it has not are empty, and the signing request.
func Request(namespace, service, node string, csr []byte) []byte {
	var out []byte
	for _, part := range []string{namespace, service, node, string(csr)} {
		out = binary.BigEndian.AppendUint32(out, uint32(len(part)))
		out = append(out, part...)
	}
	return out
}
