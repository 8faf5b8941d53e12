package identity

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// MaxDenials bounds a deny list.
const MaxDenials = 10000

// Denial refuses an identity, or one certificate, until it expires.
type Denial struct {
	// ID is a SPIFFE ID, Serial a certificate's serial number in lower-case hexadecimal.
	// With both, only the certificate of that identity is refused.
	ID     string `json:"id,omitempty"`
	Serial string `json:"serial,omitempty"`
	// Expires is when the denial ends; zero is never.
	Expires time.Time `json:"expires,omitzero"`
	// Reason is for people.
	Reason string `json:"reason,omitempty"`
}

// ParseSerial reads a serial number as people and tools write it, in hexadecimal, in any
// case, with or without colons or 0x, and returns it as Denial.Serial has it.
func ParseSerial(text string) (string, error) {
	s := strings.ToLower(strings.ReplaceAll(strings.TrimSpace(text), ":", ""))
	s = strings.TrimLeft(strings.TrimPrefix(s, "0x"), "0")
	if s == "" || len(s) > 40 || strings.Trim(s, "0123456789abcdef") != "" {
		return "", fmt.Errorf("serial number %.60q: must have 1 to 40 hexadecimal digits (RFC 5280 §4.1.2.2), as gridway identity list shows it", text)
	}
	return s, nil
}

// Check tells what is wrong with a denial.
func (d *Denial) Check() error {
	if d.ID == "" && d.Serial == "" {
		return fmt.Errorf("a denial needs a SPIFFE ID or a serial number")
	}
	if d.ID != "" {
		if _, err := Parse(d.ID); err != nil {
			return err
		}
	}
	if d.Serial != "" {
		if s, err := ParseSerial(d.Serial); err != nil || s != d.Serial {
			return fmt.Errorf("serial number %.60q: must be lower-case hexadecimal without zeros before it", d.Serial)
		}
	}
	return nil
}

// denyList is looked up by identity and by serial. It never changes.
type denyList struct {
	all      []Denial
	byID     map[string][]Denial
	bySerial map[string][]Denial
}

func newDenyList(list []Denial) *denyList {
	l := &denyList{all: slices.Clone(list), byID: map[string][]Denial{}, bySerial: map[string][]Denial{}}
	for _, d := range list {
		if d.Serial != "" {
			l.bySerial[d.Serial] = append(l.bySerial[d.Serial], d)
		} else if d.ID != "" {
			l.byID[d.ID] = append(l.byID[d.ID], d)
		}
	}
	return l
}

// denied tells whether a certificate of an identity is refused at a time.
func (l *denyList) denied(id, serial string, now time.Time) bool {
	holds := func(d Denial) bool {
		return (d.ID == "" || d.ID == id) && (d.Expires.IsZero() || now.Before(d.Expires))
	}
	return slices.ContainsFunc(l.byID[id], holds) || slices.ContainsFunc(l.bySerial[serial], holds)
}
