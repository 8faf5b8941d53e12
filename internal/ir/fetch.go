package ir

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// maxFetchURL bounds the URL of something that is fetched.
const maxFetchURL = 2048

// ParseFetchURL reads the URL of something that a proxy fetches by itself: of https,
// or of http to this machine, by "localhost" or a loopback address, and, if plain
// says so, to any other. It has no credentials and no fragment.
func ParseFetchURL(text string, plain bool) (*url.URL, error) {
	if len(text) > maxFetchURL {
		return nil, fmt.Errorf("a URL has %d bytes at most", maxFetchURL)
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		var e *url.Error
		if errors.As(err, &e) { // what it quotes may hold a secret
			err = e.Err
		}
		return nil, fmt.Errorf("it is no URL: %w", err)
	case u.Scheme != "https" && u.Scheme != "http" || u.Opaque != "":
		return nil, errors.New("it must begin with https://")
	case u.Hostname() == "":
		return nil, errors.New("it has no host")
	case u.User != nil:
		return nil, errors.New("it must not hold credentials")
	case strings.Contains(text, "#"):
		return nil, errors.New("it must not have a fragment")
	case u.Scheme == "http" && !plain && !Loopback(u.Hostname()):
		return nil, errors.New("it must begin with https://, since others could change what comes by http")
	}
	return u, nil
}

// Loopback tells whether a host is this machine by its name: "localhost", or an
// address that is never elsewhere.
func Loopback(host string) bool {
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
