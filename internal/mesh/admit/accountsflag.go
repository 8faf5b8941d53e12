package admit

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"github.com/gridway/gridway/internal/jwt"
)

// ParseAccounts reads settings as they are written on a command line:
//
//	issuer=ISSUER,audience=AUDIENCE,keys=FILE|URL[,ca=FILE]
//
// A URL is https, or http of this very host; ca has the roots of its certificate, in PEM,
// where those are not the system's. Files have to be there.
func ParseAccounts(text string) (*ServiceAccounts, error) {
	s := &ServiceAccounts{}
	keys, roots := "", ""
	fields := map[string]*string{"issuer": &s.Issuer, "audience": &s.Audience, "keys": &keys, "ca": &roots}
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(part, "=")
		to := fields[name]
		switch {
		case to == nil:
			return nil, fmt.Errorf("%.40q is not known; write issuer=ISSUER,audience=AUDIENCE,keys=FILE|URL[,ca=FILE]", name)
		case value == "" || *to != "":
			return nil, fmt.Errorf("%s must be given once, with a value", name)
		}
		*to = value
	}
	s.KeysFile = keys
	if scheme, _, isURL := strings.Cut(keys, "://"); isURL {
		s.KeysFile, s.KeysURL = "", keys
		if u, err := url.Parse(keys); err != nil || u.Host == "" || scheme != "https" && !(scheme == "http" && isLoopback(u.Hostname())) {
			return nil, fmt.Errorf("keys=%.200s: must be a file or an https URL: whoever can change the keys can join as anybody", keys)
		}
	}
	if err := s.Check(); err != nil {
		return nil, err
	}
	if s.KeysFile != "" {
		if roots != "" {
			return nil, errors.New("ca has a meaning with a URL of keys only")
		}
		return s, s.tryFile()
	}
	return s, s.trust(roots)
}

// tryFile makes sure that the file of keys can be used.
func (s *ServiceAccounts) tryFile() error {
	set, err := os.ReadFile(s.KeysFile)
	if err == nil {
		_, _, err = jwt.ParseSet(set)
	}
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	return nil
}

// trust has the server of the keys be verified by roots of its own.
func (s *ServiceAccounts) trust(file string) error {
	if file == "" {
		return nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return fmt.Errorf("ca: %s has no certificate in PEM", file)
	}
	s.Client = &http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}, IdleConnTimeout: keysFresh,
	}}
	return nil
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}
