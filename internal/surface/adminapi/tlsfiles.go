package adminapi

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// TLSFiles are where the certificate of the API is, in PEM. They are read again when
// they change.
type TLSFiles struct {
	// Certificate has the chain, Key its private key.
	Certificate, Key string
	// ClientCA has authorities whose certificates clients must have; empty asks for
	// none.
	ClientCA string
}

// lookEvery is how often files are looked at, at most.
const lookEvery = time.Second

// Config reads the files. What cannot be read later on is logged, and the
// certificates from before stay in use.
func (f TLSFiles) Config(log *slog.Logger) (*tls.Config, error) {
	if f.Certificate == "" || f.Key == "" {
		return nil, errors.New("TLS of the admin API needs a certificate and its key")
	}
	s := &tlsState{files: f, log: log}
	seen, err := s.stat()
	if err != nil {
		return nil, err
	}
	if s.config, err = f.read(); err != nil {
		return nil, err
	}
	s.seen, s.looked = seen, time.Now()
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.current(time.Now()), nil },
	}, nil
}

func (f TLSFiles) read() (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(f.Certificate, f.Key)
	if err != nil {
		return nil, fmt.Errorf("certificate of the admin API (%s, %s): %w", f.Certificate, f.Key, err)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}}
	if f.ClientCA == "" {
		return c, nil
	}
	text, err := os.ReadFile(f.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("authorities of clients of the admin API: %w", err)
	}
	c.ClientCAs, c.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !c.ClientCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("authorities of clients of the admin API: %s has no certificate in PEM", f.ClientCA)
	}
	return c, nil
}

// tlsState is what the files had when they were read last.
type tlsState struct {
	files TLSFiles
	log   *slog.Logger

	mu     sync.Mutex // guards what follows
	config *tls.Config
	seen   [3]version
	looked time.Time
}

// version tells a file from what it was.
type version struct {
	at   time.Time
	size int64
}

func (s *tlsState) stat() (seen [3]version, err error) {
	for i, name := range []string{s.files.Certificate, s.files.Key, s.files.ClientCA} {
		if name == "" {
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			return seen, fmt.Errorf("TLS of the admin API: %w", err)
		}
		seen[i] = version{info.ModTime(), info.Size()}
	}
	return seen, nil
}

// current is the configuration for a connection that begins now.
func (s *tlsState) current(now time.Time) *tls.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.looked) < lookEvery {
		return s.config
	}
	s.looked = now
	seen, err := s.stat()
	if err == nil && seen == s.seen {
		return s.config
	}
	var config *tls.Config
	if err == nil {
		s.seen = seen // also if they are no good: nobody tries the same again
		config, err = s.files.read()
	}
	if err != nil {
		s.log.Warn("the admin API goes on with the certificates from before", "error", err)
		return s.config
	}
	s.config = config
	s.log.Info("certificates of the admin API were read again", "file", s.files.Certificate)
	return config
}
