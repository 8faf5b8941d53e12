package ir

import "time"

// Discovery says where a cluster's endpoints come from when they are not static.
type Discovery struct {
	DNS    []DNSName       `json:"dns,omitempty"`
	Consul []ConsulService `json:"consul,omitempty"`
}

// DNSName is resolved again when its TTL ends.
type DNSName struct {
	Name string `json:"name"`
	// SRV looks up SRV records (RFC 2782), which bring port, weight and priority.
	SRV bool `json:"srv,omitempty"`
	// Port, Weight, Zone and Priority are given to what A and AAAA records name.
	Port     uint16 `json:"port,omitempty"`
	Weight   uint32 `json:"weight,omitempty"`
	Zone     string `json:"zone,omitempty"`
	Priority int    `json:"priority,omitempty"`
	// MinTTL and MaxTTL bound what the records say.
	MinTTL time.Duration `json:"minTTL,omitempty"`
	MaxTTL time.Duration `json:"maxTTL,omitempty"`
	// Resolver is "IP:PORT"; empty means the system's.
	Resolver string `json:"resolver,omitempty"`
}

// ConsulService is watched at an agent.
type ConsulService struct {
	Agent   *ConsulAgent `json:"agent"`
	Service string       `json:"service"`
	// Tags must all be there. What is empty of the following is not asked for.
	Tags        []string          `json:"tags,omitempty"`
	Datacenter  string            `json:"datacenter,omitempty"`
	Namespace   string            `json:"namespace,omitempty"`
	Partition   string            `json:"partition,omitempty"`
	Filter      string            `json:"filter,omitempty"`
	Near        string            `json:"near,omitempty"`
	Consistency ConsulConsistency `json:"consistency,omitempty"`
	// Warning takes instances with warnings, too. KeepLast keeps the last ones when
	// there are none any more.
	Warning  bool `json:"warning,omitempty"`
	KeepLast bool `json:"keepLast,omitempty"`

	// TaggedAddress, Port and ZoneMeta say what is used of an instance, Limit how
	// many are; zero is all, as far as a source takes them.
	TaggedAddress string `json:"taggedAddress,omitempty"`
	Port          uint16 `json:"port,omitempty"`
	ZoneMeta      string `json:"zoneMeta,omitempty"`
	Priority      int    `json:"priority,omitempty"`
	Limit         int    `json:"limit,omitempty"`
}

// ConsulConsistency is how new an answer must be, as it is asked for; empty is what
// agents do by themselves.
type ConsulConsistency string

const (
	ConsulConsistent ConsulConsistency = "consistent"
	ConsulStale      ConsulConsistency = "stale"
)

// ConsulAgent is whom a source asks.
type ConsulAgent struct {
	// Address is "http://HOST[:PORT][/PATH]", the same with https, or "unix:PATH".
	Address string `json:"address"`
	Token   string `json:"token,omitempty"`
	// TLS is set with https.
	TLS *UpstreamTLS `json:"tls,omitempty"`
	// MaxQueries wait at a time; zero is the source's own bound.
	MaxQueries int `json:"maxQueries,omitempty"`
}

// redacted is without tokens and private keys.
func (d *Discovery) redacted() *Discovery {
	if d == nil || len(d.Consul) == 0 {
		return d
	}
	n := *d
	n.Consul = redactEach(d.Consul, func(c ConsulService) ConsulService {
		a := *c.Agent
		if a.Token != "" {
			a.Token = Hidden
		}
		if a.TLS != nil {
			tls := *a.TLS
			tls.Certificate = a.TLS.Certificate.redacted()
			a.TLS = &tls
		}
		c.Agent = &a
		return c
	})
	return &n
}
