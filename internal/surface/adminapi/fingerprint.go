package adminapi

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

// secretText stands for one value of a Secret, as JSON has it: in base64.
// Certificates are public, and a key's public half gives nothing away; both are
// told by fingerprint, so that a change of them shows. All else is veiled: a
// digest of a password is as good as the password.
func secretText(v any, veil ir.Veil) string {
	text, ok := v.(string)
	if !ok {
		return hidden
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return veil(text)
	}
	if s := certificatesText(raw); s != "" {
		return s
	}
	if s := keyText(raw); s != "" {
		return s
	}
	return veil(string(raw))
}

// certificatesText is empty unless raw is certificates in PEM and nothing else.
func certificatesText(raw []byte) string {
	var list []string
	for len(bytes.TrimSpace(raw)) > 0 {
		block, rest := pem.Decode(raw)
		if block == nil || block.Type != "CERTIFICATE" {
			return ""
		}
		raw = rest
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return ""
		}
		name := c.Subject.CommonName
		if len(c.DNSNames) > 0 {
			name = strings.Join(c.DNSNames, " ")
		}
		list = append(list, fmt.Sprintf("certificate %s until %s, sha256 %x", name, c.NotAfter.UTC().Format(time.DateOnly), sha256.Sum256(c.Raw)))
	}
	return strings.Join(list, "; ")
}

// keyText is empty unless raw is a private key in PEM.
func keyText(raw []byte) string {
	block, _ := pem.Decode(raw)
	if block == nil || !strings.HasSuffix(block.Type, "PRIVATE KEY") {
		return ""
	}
	public, err := publicHalf(block.Bytes)
	if err != nil {
		return hidden
	}
	return fmt.Sprintf("private key (hidden), its public half sha256 %x", sha256.Sum256(public))
}

// publicHalf is in PKIX form.
func publicHalf(der []byte) ([]byte, error) {
	var key any
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		key, err = x509.ParseECPrivateKey(der)
	}
	if err != nil {
		key, err = x509.ParsePKCS1PrivateKey(der)
	}
	if err != nil {
		return nil, err
	}
	signer, ok := key.(interface{ Public() crypto.PublicKey })
	if !ok {
		return nil, fmt.Errorf("%T has no public half", key)
	}
	return x509.MarshalPKIXPublicKey(signer.Public())
}
