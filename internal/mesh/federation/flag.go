package federation

import (
	"errors"
	"fmt"
	"strings"
)

// ParseRelation reads a relation as it is written on a command line:
//
//	TRUST-DOMAIN=URL[,endpoint=SPIFFE-ID][,bundle=FILE]
//
// With endpoint its profile is https_spiffe, and https_web without.
func ParseRelation(text string) (Relation, error) {
	name, rest, ok := strings.Cut(text, "=")
	if !ok {
		return Relation{}, errors.New("there is no =; write TRUST-DOMAIN=URL[,endpoint=SPIFFE-ID][,bundle=FILE]")
	}
	parts := strings.Split(rest, ",")
	r := Relation{TrustDomain: name, URL: parts[0], Profile: Web}
	for _, p := range parts[1:] {
		key, value, _ := strings.Cut(p, "=")
		var to *string
		switch key {
		case "endpoint":
			r.Profile, to = SPIFFE, &r.EndpointID
		case "bundle":
			to = &r.BundleFile
		default:
			return Relation{}, fmt.Errorf("%.40q is not known; what may follow the URL is endpoint=SPIFFE-ID and bundle=FILE", key)
		}
		if value == "" || *to != "" {
			return Relation{}, fmt.Errorf("%s must be given once, with a value", key)
		}
		*to = value
	}
	return r, r.check()
}
