package compile

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

const certificateBlock = "CERTIFICATE"

// certificatesOf takes the certificates out of a PEM text, parsed and as clean
// PEM: a private key that stands beside them must not go where certificates go.
// rest is what follows the last block and is not whole.
func certificatesOf(text []byte) (list []*x509.Certificate, clean []byte, rest bool, err error) {
	for {
		block, after := pem.Decode(text)
		if block == nil {
			return list, clean, bytes.Contains(text, []byte("-----BEGIN")), nil
		}
		text = after
		if block.Type != certificateBlock {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, nil, false, fmt.Errorf("number %d: %w", len(list)+1, err)
		}
		list = append(list, cert)
		clean = append(clean, pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: block.Bytes})...)
	}
}

// encodedTwice tells whether a value is the base64 of PEM.
func encodedTwice(value []byte) bool {
	decoded, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(value)))
	return err == nil && bytes.Contains(decoded, []byte("-----BEGIN"))
}

// whyNoCertificate says what tls.crt holds that has no certificate.
func whyNoCertificate(value []byte) (why, remedy string) {
	switch {
	case encodedTwice(value):
		return "holds base64 of a certificate instead of the certificate",
			"write base64 under data, and PEM as it is under stringData"
	case bytes.Contains(value, []byte("PRIVATE KEY-----")):
		return "holds a private key and no certificate", "the chain belongs under tls.crt, its key under tls.key"
	case bytes.Contains(value, []byte("-----BEGIN CERTIFICATE")):
		return "holds a certificate that is not whole", "it was cut, or its lines are not as they were"
	}
	return "holds no PEM certificate", "it begins with -----BEGIN CERTIFICATE-----"
}

// whyNoKey says why tls.key is of no use with a chain.
func whyNoKey(value []byte, chain []*x509.Certificate, err error) (why, remedy string) {
	if encodedTwice(value) {
		return "holds base64 of a private key instead of the key", "write base64 under data, and PEM as it is under stringData"
	}
	block, _ := pem.Decode(value)
	switch {
	case block == nil:
		return "holds no PEM private key", "it begins with -----BEGIN PRIVATE KEY-----"
	case block.Type == certificateBlock && !bytes.Contains(value, []byte("PRIVATE KEY-----")):
		return "holds a certificate and no private key", "the chain belongs under tls.crt, its key under tls.key"
	case strings.HasPrefix(block.Type, "ENCRYPTED") || block.Headers["DEK-Info"] != "":
		return "is protected by a passphrase", "write it without one: openssl pkey -in tls.key"
	}
	for i := 1; i < len(chain); i++ {
		alone := pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: chain[i].Raw})
		if _, err := tls.X509KeyPair(alone, value); err == nil {
			return fmt.Sprintf("is the key of certificate %d of tls.crt, %s, and not of the first", i+1, naming(chain[i])),
				"put the certificate of the server first, then the one that signed it, and so on"
		}
	}
	reason := strings.TrimPrefix(err.Error(), "tls: ")
	if strings.Contains(reason, "does not match") {
		return fmt.Sprintf("is not the key of the certificate in tls.crt, %s", naming(chain[0])), "put the key that the certificate was made for there"
	}
	return "cannot be used: " + reason, "it must be a PEM private key of RSA, ECDSA or Ed25519"
}

// naming tells certificates of a chain apart.
func naming(c *x509.Certificate) string {
	switch {
	case len(c.DNSNames) > 0:
		return c.DNSNames[0]
	case c.Subject.CommonName != "":
		return c.Subject.CommonName
	}
	return "serial number " + c.SerialNumber.String()
}

// brokenChain says where a chain is not one; clients that know only the root
// will not be able to verify the first certificate.
func brokenChain(chain []*x509.Certificate) string {
	for i := 1; i < len(chain); i++ {
		if !signed(chain[i], chain[i-1]) {
			return fmt.Sprintf("certificate %d of tls.crt, %s, did not sign certificate %d, %s", i+1, naming(chain[i]), i, naming(chain[i-1]))
		}
	}
	return ""
}

func signed(issuer, cert *x509.Certificate) bool {
	if !bytes.Equal(issuer.RawSubject, cert.RawIssuer) {
		return false
	}
	err := issuer.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature)
	var old x509.InsecureAlgorithmError
	return err == nil || errors.As(err, &old) || errors.Is(err, x509.ErrUnsupportedAlgorithm)
}
