package ir

import "time"

// Consumer is somebody who calls APIs.
type Consumer struct {
	Namespace string   `json:"namespace"`
	Name      string   `json:"name"`
	Groups    []string `json:"groups,omitempty"`
	// GroupList is Groups with commas between them.
	GroupList string `json:"-"`
	Plan      string `json:"plan,omitempty"`
	// Labels are ordered by name.
	Labels      []Label              `json:"labels,omitempty"`
	Credentials []ConsumerCredential `json:"credentials,omitempty"`
}

// Label is a name and a value.
type Label struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// String returns "namespace/name".
func (c *Consumer) String() string { return c.Namespace + "/" + c.Name }

// Label returns the value of a label.
func (c *Consumer) Label(name string) (value string, ok bool) {
	for i := range c.Labels {
		if c.Labels[i].Name == name {
			return c.Labels[i].Value, true
		}
	}
	return "", false
}

// InGroup tells whether the consumer is in a group.
func (c *Consumer) InGroup(name string) bool {
	for _, g := range c.Groups {
		if g == name {
			return true
		}
	}
	return false
}

// ConsumerCredential is one of a consumer's credentials. It holds no secret that
// could be used: keys are there as digests.
type ConsumerCredential struct {
	Name string `json:"name"`
	// NotBefore and NotAfter are zero where there is no bound.
	NotBefore time.Time `json:"notBefore,omitzero"`
	NotAfter  time.Time `json:"notAfter,omitzero"`
	// KeyDigest is the SHA-256 of an API key.
	KeyDigest []byte `json:"keyDigest,omitempty"`
}

// Kind is what the credential is: "apiKey".
func (c *ConsumerCredential) Kind() string {
	if c.KeyDigest != nil {
		return "apiKey"
	}
	return ""
}

// Valid tells whether the credential is accepted at a time.
func (c *ConsumerCredential) Valid(at time.Time) bool {
	return (c.NotBefore.IsZero() || !at.Before(c.NotBefore)) && (c.NotAfter.IsZero() || !at.After(c.NotAfter))
}
