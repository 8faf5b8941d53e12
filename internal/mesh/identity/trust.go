package identity

import (
	"encoding/json"
	"errors"
	"fmt"
)

// EncodeTrust writes trust bundles and a deny list for a proxy's keyring.
func EncodeTrust(bundles []*Bundle, denials []Denial) (trusted, denied []byte, err error) {
	list := make(map[string]json.RawMessage, len(bundles))
	for _, b := range bundles {
		list[b.TrustDomain().Name()] = b.JSON()
	}
	if trusted, err = json.Marshal(list); err != nil {
		return nil, nil, err
	}
	if denials == nil {
		denials = []Denial{} // nobody is denied, rather than nothing said
	}
	denied, err = json.Marshal(denials)
	return trusted, denied, err
}

// DecodeTrust reads what EncodeTrust has written, as a change of a keyring.
func DecodeTrust(trusted, denied []byte) (c Change, err error) {
	if len(trusted) > MaxBundle {
		return c, fmt.Errorf("trust bundles of more than %d bytes", MaxBundle)
	}
	var list map[string]json.RawMessage
	if err := json.Unmarshal(trusted, &list); err != nil {
		return c, fmt.Errorf("trust bundles: %w", err)
	}
	if len(list) == 0 {
		return c, errors.New("there is no trust bundle")
	}
	for name, text := range list {
		td, err := ParseTrustDomain(name)
		if err != nil {
			return c, fmt.Errorf("trust bundles: %w", err)
		}
		b, err := ParseBundle(td, text)
		if err != nil {
			return c, fmt.Errorf("trust bundle of %s: %w", name, err)
		}
		c.Bundles = append(c.Bundles, b)
	}
	c.Denied = []Denial{}
	if err := json.Unmarshal(denied, &c.Denied); err != nil {
		return c, fmt.Errorf("deny list: %w", err)
	}
	if len(c.Denied) > MaxDenials {
		return c, fmt.Errorf("a deny list of more than %d", MaxDenials)
	}
	for i := range c.Denied {
		if err := c.Denied[i].Check(); err != nil {
			return c, fmt.Errorf("deny list: %w", err)
		}
	}
	return c, nil
}
