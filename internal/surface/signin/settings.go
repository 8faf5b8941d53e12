package signin

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/manage/access"
)

const (
	// MaxLife bounds a session, and is how long one is if nobody says it.
	MaxLife = 12 * time.Hour
	minLife = 5 * time.Minute
	// maxFile bounds files that are read, in bytes.
	maxFile = 1 << 20

	// consolePath is where the console is; callback is the page of it that the provider
	// sends browsers back to.
	consolePath = "/console/"
	callback    = "login"
	// anybody is the value of whoever can log in at the provider.
	anybody = "*"
)

// Settings say where people log in, and who may do what.
type Settings struct {
	// Issuer is the OpenID provider, to the letter as it names itself.
	Issuer string
	// ClientID and ClientSecret are the console's there. Without a secret it is a public
	// client, which PKCE alone protects.
	ClientID     string
	ClientSecret []byte
	// Console is the console's URL as browsers have it, with a slash at its end. The
	// provider must know "login" below it as redirect URI.
	Console *url.URL
	// Name of the provider, for people.
	Name string
	// Scopes that are asked for, "openid" among them.
	Scopes []string
	Roles  Roles
	// Life of a session, 5 minutes to 12 hours.
	Life time.Duration
	// CA is in PEM and verifies the provider; empty is the system's roots.
	CA []byte
}

// Roles give those who log in a role, by what the provider says of them.
type Roles struct {
	// Claim is the name of a claim or, beginning with a slash, a JSON Pointer to it: a
	// text, or a list of texts.
	Claim string
	// Of has the values that give a role; "*" is everybody, and gives viewer alone.
	Of map[access.Role][]string

	path []string
}

// Read reads the settings from a file in YAML. Files that it names are beside it, if
// their names do not begin with a slash.
func Read(file string) (*Settings, error) {
	text, err := readFile(file)
	if err != nil {
		return nil, fmt.Errorf("login to the console: %w", err)
	}
	s, err := parse(file, text, func(name string) ([]byte, error) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(file), name)
		}
		return readFile(name)
	})
	if err != nil {
		return nil, fmt.Errorf("login to the console: %w", err)
	}
	return s, nil
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s: has more than %d bytes", name, maxFile)
	}
	return text, err
}

// judge says what is wrong with a value of a field; nil is nothing.
func judgeIssuer(text string) error {
	u, err := ir.ParseFetchURL(text, false)
	if err == nil && u.RawQuery != "" {
		err = errors.New("it must not have a query") // OpenID Connect Discovery 1.0 §3
	}
	return err
}

// readConsole makes the URL of the console whole.
func readConsole(text string) (*url.URL, error) {
	u, err := ir.ParseFetchURL(text, false)
	switch {
	case err != nil:
		return nil, err
	case u.RawQuery != "":
		return nil, errors.New("it must not have a query")
	case strings.Trim(u.Path, "/") != "" && strings.TrimSuffix(u.Path, "/")+"/" != consolePath:
		return nil, fmt.Errorf("the console is at %s, and not at %.60q", consolePath, u.Path)
	}
	// As browsers write it in Host: a provider compares redirect URIs to the letter.
	host := strings.ToLower(u.Host)
	host = strings.TrimSuffix(host, map[string]string{"https": ":443", "http": ":80"}[u.Scheme])
	return &url.URL{Scheme: u.Scheme, Host: host, Path: consolePath}, nil
}

func readSecret(text []byte) ([]byte, error) {
	text = bytes.TrimSpace(text)
	if len(text) == 0 || len(text) > 4096 || bytes.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return nil, errors.New("must have a secret of 1 to 4096 bytes in one line")
	}
	return text, nil
}

func readCA(text []byte) ([]byte, error) {
	if !x509.NewCertPool().AppendCertsFromPEM(text) {
		return nil, errors.New("has no certificate in PEM")
	}
	return text, nil
}

// complete fills in what was left out, and says what must not be.
func (s *Settings) complete() error {
	switch {
	case s.Issuer == "":
		return errors.New("issuer is missing: the URL of the OpenID provider")
	case s.ClientID == "":
		return errors.New("clientID is missing: how the provider knows the console")
	case s.Console == nil:
		return errors.New("console is missing: its URL as browsers have it, such as https://gateway.example:9901/console/")
	case len(s.Roles.Of) == 0:
		return errors.New("roles is missing: without it, nobody who logs in may do anything")
	case s.Roles.Claim == "" && s.Roles.needsClaim():
		return errors.New("roles.claim is missing: the claim that has the values, such as groups")
	}
	if s.Name == "" {
		at, _ := url.Parse(s.Issuer) // it was judged
		s.Name = at.Host
	}
	if s.Scopes == nil {
		s.Scopes = []string{"openid", "profile", "email"}
	}
	if s.Life == 0 {
		s.Life = MaxLife
	}
	return nil
}
