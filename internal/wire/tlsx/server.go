package tlsx

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

// Server is the TLS side of one listener.
type Server struct {
	opts   Options
	base   *tls.Config
	quic   *tls.Config
	refuse *tls.Config // has no certificate: crypto/tls answers unrecognized_name

	exact    map[string]*section
	wildcard map[string]*section // keyed by what follows the "*", as in ".example.com"
	any      *section
	sections map[string]*section // by name

	// certs holds what was parsed, by content, so that a rebuild parses only
	// what changed.
	certs   map[[sha256.Size]byte]*certificate
	tickets *Tickets
}

// section is what serves one ir.Section.
type section struct {
	config *tls.Config // nil if nothing of it can be served
	refuse *tls.Config // for clients that offer other protocols only; nil if config refuses them
	quic   *tls.Config // config for HTTP/3; nil without, or below TLS 1.3
	certs  []*certificate
	// before serve until holdUntil in the place of certs that are not ready.
	before    []*certificate
	holdUntil time.Time
	keys      sealer
}

// NewServer builds the TLS side of a listener. Its error is a join of *Error
// (see Errors), one for each certificate or setting that is at fault; the
// Server is never nil and serves the rest. A section without any sound
// certificate, or whose client verification is broken, refuses its handshakes:
// no other section takes its names over. Prev, which may be nil, hands its
// options, ticket keys and parsed certificates on; it goes on working.
func NewServer(sections []*ir.Section, prev *Server) (*Server, error) {
	var opts Options
	if prev != nil {
		opts = prev.opts
	}
	return NewServerWith(opts, sections, prev)
}

// NewServerWith is NewServer with options of its own.
func NewServerWith(opts Options, sections []*ir.Section, prev *Server) (*Server, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	s := &Server{
		opts:     opts,
		refuse:   &tls.Config{MinVersion: tls.VersionTLS12},
		exact:    map[string]*section{},
		wildcard: map[string]*section{},
		certs:    map[[sha256.Size]byte]*certificate{},
		sections: map[string]*section{},
	}
	switch {
	case opts.Tickets != nil:
		s.tickets = opts.Tickets
	case prev != nil:
		s.tickets = prev.tickets
	default:
		s.tickets = NewTickets(opts.Now)
	}
	var errs []error
	for _, in := range sections {
		if in.TLS == nil {
			continue
		}
		sec, problems := s.build(in, prev)
		errs = append(errs, problems...)
		if prev != nil {
			sec.hold(prev.sections[in.Name], opts.Now())
		}
		s.sections[in.Name] = sec
		s.place(in.Hostname, sec)
	}
	// The floor holds here already, so that an old client learns protocol_version.
	s.base = &tls.Config{
		MinVersion:         tls.VersionTLS12,
		NextProtos:         opts.alpn(),
		GetConfigForClient: s.configFor,
		Time:               opts.Now,
	}
	if opts.HTTP3 {
		s.quic = &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: alpnHTTP3, GetConfigForClient: s.quicFor, Time: opts.Now}
	}
	return s, errors.Join(errs...)
}

// QUIC is Config for HTTP/3; nil if Options did not ask for it.
func (s *Server) QUIC() *tls.Config { return s.quic }

// Config is what the listener hands to crypto/tls. It is the same value for the
// life of the Server and must not be changed.
func (s *Server) Config() *tls.Config { return s.base }

// place files a section under its hostname; the first of equals stays, as in
// the order of the listener.
func (s *Server) place(hostname string, sec *section) {
	hostname = strings.ToLower(hostname)
	suffix, wild := strings.CutPrefix(hostname, "*")
	switch {
	case hostname == "" || hostname == "*":
		if s.any == nil {
			s.any = sec
		}
	case wild:
		if s.wildcard[suffix] == nil {
			s.wildcard[suffix] = sec
		}
	default:
		if s.exact[hostname] == nil {
			s.exact[hostname] = sec
		}
	}
}

// sectionFor finds the section with the most specific hostname. A wildcard
// stands for one or more labels, as in the Gateway API.
func (s *Server) sectionFor(name string) *section {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if sec := s.exact[name]; sec != nil {
		return sec
	}
	for i := strings.IndexByte(name, '.'); i >= 0; {
		if sec := s.wildcard[name[i:]]; sec != nil {
			return sec
		}
		next := strings.IndexByte(name[i+1:], '.')
		if next < 0 {
			break
		}
		i += 1 + next
	}
	return s.any
}

func (s *Server) configFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == ChallengeProtocol {
		return s.challenge(hello), nil
	}
	sec := s.sectionFor(hello.ServerName)
	if sec == nil || sec.config == nil {
		return s.refuse, nil
	}
	if sec.refuse != nil && len(hello.SupportedProtos) > 0 && !meet(sec.config.NextProtos, hello.SupportedProtos) {
		return sec.refuse, nil
	}
	s.tickets.seal(sec)
	return sec.config, nil
}

// meet tells whether two lists of protocols have one in common.
func meet(a, b []string) bool {
	return slices.ContainsFunc(a, func(p string) bool { return slices.Contains(b, p) })
}

func (s *Server) quicFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	sec := s.sectionFor(hello.ServerName)
	if sec == nil || sec.quic == nil {
		return s.refuse, nil
	}
	s.tickets.seal(sec)
	return sec.quic, nil
}

// challenge answers a certificate authority, whatever certificates and clients
// the section of that name would ask for.
func (s *Server) challenge(hello *tls.ClientHelloInfo) *tls.Config {
	if s.opts.Challenges == nil {
		return s.refuse
	}
	if d, ok := hello.Conn.(interface{ Detach() }); ok {
		d.Detach()
	}
	cert, ok := s.opts.Challenges.Certificate(hello.ServerName)
	if !ok {
		return s.refuse
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{ChallengeProtocol}, Certificates: []tls.Certificate{*cert},
		Time: s.opts.Now, SessionTicketsDisabled: true,
	}
}

// build makes what serves one section.
func (s *Server) build(in *ir.Section, prev *Server) (*section, []error) {
	var errs []error
	report := func(cert string, err error) {
		if err != nil {
			errs = append(errs, &Error{Section: in.Name, Certificate: cert, Err: err})
		}
	}
	sec := &section{}
	for _, c := range in.TLS.Certificates {
		cert, err := s.certificate(c, prev)
		if err != nil {
			report(c.Name, err)
			continue
		}
		sec.certs = append(sec.certs, cert)
	}
	if len(in.TLS.Certificates)+len(in.TLS.Awaited) == 0 {
		report("", errors.New("no certificate"))
	}
	config := &tls.Config{
		NextProtos:     s.opts.alpn(),
		GetCertificate: sec.choose,
		Time:           s.opts.Now,
		// Small records first would be a system call each.
		DynamicRecordSizingDisabled: true,
	}
	var err error
	config.MinVersion, config.MaxVersion, err = parseVersions(in.TLS.MinVersion, in.TLS.MaxVersion)
	sound := err == nil
	report("", err)
	config.CipherSuites, err = parseSuites(in.TLS.CipherSuites)
	report("", err)
	if len(in.TLS.CipherSuites) > 0 && len(config.CipherSuites) == 0 {
		sound = false // nil would allow all of them
	}
	err = authenticate(config, in.TLS.ClientAuth)
	if err != nil && in.TLS.ClientAuth.Mode != ir.ClientAuthRequestInsecure {
		sound = false
	}
	report("", err)

	sec.keys.context = sealContext(in)
	if in.Protocol == ir.TLS {
		config.NextProtos = in.TLS.ALPN // the protocol inside is the endpoints' affair
	}
	if sound && len(sec.certs) > 0 {
		sec.config = config
		if in.Protocol == ir.TLS && slices.Contains(in.TLS.ALPN, "h2") {
			// crypto/tls takes http/1.1 alone for no offer at all where h2 is agreed
			// on. RFC 7301 §3.2 wants an alert, for which it has to see another list.
			sec.refuse = config.Clone()
			sec.refuse.NextProtos = []string{""}
		}
		if s.opts.HTTP3 && in.Protocol != ir.TLS && config.MaxVersion >= tls.VersionTLS13 {
			sec.quic = config.Clone()
			sec.quic.NextProtos, sec.quic.MinVersion = alpnHTTP3, tls.VersionTLS13
		}
	}
	return sec, errs
}

// authenticate sets how clients are asked for certificates.
func authenticate(config *tls.Config, auth *ir.ClientAuth) error {
	if auth == nil {
		return nil
	}
	switch auth.Mode {
	case ir.ClientAuthRequire:
		config.ClientAuth = tls.RequireAndVerifyClientCert
	case ir.ClientAuthOptional:
		config.ClientAuth = tls.VerifyClientCertIfGiven
	case ir.ClientAuthRequestInsecure:
		config.ClientAuth = tls.RequestClientCert
	default:
		return errors.New("unknown client validation mode " + string(auth.Mode))
	}
	config.ClientCAs = x509.NewCertPool()
	return parsePool(config.ClientCAs, auth.CA)
}
