// Package federation exchanges trust bundles with other trust domains, as SPIFFE Federation
// says (https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Federation.md): it serves
// the own bundle, and fetches those of others by both profiles, https_web and https_spiffe.
// Bundles of two trust domains are never put together: each proves its own identities alone.
//
// Federation.Run owns the goroutines, and waits for them. The package may be imported by
// app and cli.
package federation

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/gridway/gridway/internal/mesh/identity"
)

// Profiles of bundle endpoints (SPIFFE Federation §5.2).
const (
	// Web is an endpoint with a certificate of a public authority.
	Web = "https_web"
	// SPIFFE is an endpoint with an X509-SVID.
	SPIFFE = "https_spiffe"
)

const (
	maxRelations = 100
	maxConfig    = 1 << 20
)

// Relation is another trust domain, and where its bundle is. Relations are one-way: the
// other side has one of its own.
type Relation struct {
	TrustDomain string `yaml:"trustDomain"`
	// URL is that of the bundle endpoint, with https.
	URL string `yaml:"url"`
	// Profile is https_web or https_spiffe.
	Profile string `yaml:"profile"`
	// EndpointID is the SPIFFE ID of an endpoint of profile https_spiffe.
	EndpointID string `yaml:"endpointID"`
	// BundleFile has a bundle to begin with, in SPIFFE's format. With https_spiffe one is
	// needed, unless the endpoint is of a trust domain that another relation has. A file
	// that is newer than what was fetched last holds, until the next fetch.
	BundleFile string `yaml:"bundleFile"`

	td       identity.TrustDomain
	endpoint identity.ID
}

// ReadConfig reads a file with a list of relations, in YAML.
func ReadConfig(path string) ([]Relation, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("federation: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(text) > maxConfig {
		err = fmt.Errorf("has more than %d bytes", maxConfig)
	}
	var list []Relation
	if err == nil {
		list, err = ParseConfig(text)
	}
	if err != nil {
		return nil, fmt.Errorf("federation: %s: %w", path, err)
	}
	return list, nil
}

// ParseConfig reads a list of relations.
func ParseConfig(text []byte) ([]Relation, error) {
	var list []Relation
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&list); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return list, check(list)
}

// Check says what is wrong with the relations of a trust domain, taken together.
func Check(own identity.TrustDomain, list []Relation) error {
	list = slices.Clone(list)
	if err := check(list); err != nil {
		return err
	}
	for i := range list {
		if list[i].td == own {
			return fmt.Errorf("relation %d: %s is our own trust domain", i+1, own)
		}
	}
	return nil
}

func check(list []Relation) error {
	if len(list) > maxRelations {
		return fmt.Errorf("there are %d relations, at most %d are allowed", len(list), maxRelations)
	}
	seen := map[identity.TrustDomain]bool{}
	for i := range list {
		r := &list[i]
		if err := r.check(); err != nil {
			return fmt.Errorf("relation %d: %w", i+1, err)
		}
		if seen[r.td] {
			return fmt.Errorf("relation %d: trust domain %s has one already", i+1, r.td)
		}
		seen[r.td] = true
	}
	return nil
}

func (r *Relation) check() (err error) {
	if r.td, err = identity.ParseTrustDomain(r.TrustDomain); err != nil {
		return err
	}
	at, err := url.Parse(r.URL)
	if err != nil {
		return errors.New("url: cannot be read")
	}
	if err := checkURL(at); err != nil {
		return fmt.Errorf("url: %w", err)
	}
	switch r.Profile {
	case Web:
		if r.EndpointID != "" {
			return fmt.Errorf("endpointID: is for the profile %s", SPIFFE)
		}
	case SPIFFE:
		if r.endpoint, err = identity.Parse(r.EndpointID); err != nil {
			return fmt.Errorf("endpointID: who the endpoint is, is needed for the profile %s: %w", SPIFFE, err)
		}
	default:
		return fmt.Errorf("profile %.40q: must be %s or %s", r.Profile, Web, SPIFFE)
	}
	return nil
}

// checkURL holds for endpoints and for where they redirect to (§5.2.1.1).
func checkURL(at *url.URL) error {
	if at.Scheme != "https" || at.Host == "" || at.User != nil {
		return errors.New("must begin with https:// and a host, and have no user in it")
	}
	return nil
}
