package collect

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gridway/gridway/internal/mesh/evidence"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/meshpb"
	"github.com/gridway/gridway/internal/statedb"
)

// kind is what tells flows to one service apart, as it is kept.
type kind struct {
	Source   string `json:"source,omitempty"`
	Port     uint16 `json:"port"`
	Protocol string `json:"protocol"`
	Method   string `json:"method,omitempty"`
	Path     string `json:"path,omitempty"`
	Verdict  string `json:"verdict"`
	Policy   string `json:"policy,omitempty"`
	Overflow bool   `json:"overflow,omitempty"`
}

func kindOf(f *meshpb.TrafficFlow) kind {
	return kind{
		Source: f.GetSource(), Port: uint16(f.GetPort()), Method: f.GetMethod(), Path: f.GetPath(), Policy: f.GetPolicy(), Overflow: f.GetOverflow(),
		Protocol: [...]string{"", evidence.HTTP, evidence.GRPC, evidence.TCP}[f.GetProtocol()], Verdict: [...]string{"", evidence.Allowed, evidence.WouldDeny, evidence.Denied}[f.GetVerdict()],
	}
}

// judge says why a report cannot be true.
func judge(f *meshpb.TrafficFlow) string {
	switch {
	case f.GetProtocol() < 1 || f.GetProtocol() > 3 || f.GetVerdict() < 1 || f.GetVerdict() > 3:
		return "its protocol or verdict is not known"
	case f.GetPort() < 1 || f.GetPort() > 65535:
		return "its port is none"
	case f.GetCount() == 0 || f.GetCount() > 1<<40:
		return "it counts nothing, or too much"
	case f.GetFirst() <= 0 || f.GetLast() < f.GetFirst():
		return "its times are not in order"
	case identity.CheckWorkload(f.GetNamespace(), f.GetService()) != nil:
		return "its destination is no service"
	case len(f.GetMethod()) > 24 || len(f.GetPath()) > 400 || len(f.GetPolicy()) > 512:
		return "its method, path or policy is too long"
	}
	for _, s := range []string{f.GetMethod(), f.GetPath(), f.GetPolicy()} {
		if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return "its method, path or policy has characters that these have not"
		}
	}
	if s := f.GetSource(); s != "" {
		if _, err := identity.Parse(s); err != nil {
			return "its source is no SPIFFE ID"
		}
	}
	return ""
}

// encode is the kind as it is kept, and its key.
func (k kind) encode(namespace, service string) (content, key string) {
	b, _ := json.Marshal(k) // strings and numbers
	sum := sha256.Sum256(append([]byte(namespace+"/"+service+" "), b...))
	return string(b), base64.RawURLEncoding.EncodeToString(sum[:15])
}

func decodeKind(content string) (k kind, err error) {
	err = json.Unmarshal([]byte(content), &k)
	return k, err
}

// Flows lists what was seen, of all days together, ordered by destination and source.
func (c *Collector) Flows(ctx context.Context, q evidence.Query) ([]evidence.Flow, error) {
	if err := c.Flush(ctx); err != nil {
		return nil, fmt.Errorf("what proxies have seen: %w", err)
	}
	since := q.Since.UnixMilli()
	var rows []statedb.MeshTraffic
	err := c.opt.DB.Read(ctx, func(tx *statedb.Tx) (err error) {
		rows, err = tx.MeshTraffic(ctx, q.Namespace, q.Service, since/dayLength.Milliseconds(), since, maxFlows)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("what proxies have seen: %w", err)
	}
	merged := map[string]*statedb.MeshTraffic{}
	for i := range rows {
		r := &rows[i]
		had := merged[r.Key]
		if had == nil {
			merged[r.Key] = r
			continue
		}
		add(had, r)
	}
	out := make([]evidence.Flow, 0, len(merged))
	for _, r := range merged {
		k, err := decodeKind(r.Content)
		if err != nil {
			return nil, fmt.Errorf("what proxies have seen: %w", err)
		}
		out = append(out, evidence.Flow{
			Source: k.Source, Namespace: r.Namespace, Service: r.Service, Port: k.Port, Protocol: k.Protocol, Method: k.Method, Path: k.Path,
			Verdict: k.Verdict, Policy: k.Policy, Overflow: k.Overflow, Count: uint64(r.Seen), Failed: uint64(r.Failed),
			First: time.UnixMilli(r.First).UTC(), Last: time.UnixMilli(r.Last).UTC(), MeanMicroseconds: uint64(r.Duration) / uint64(max(r.Seen, 1)), Addresses: estimate(uint64(r.Addresses)),
		})
	}
	slices.SortFunc(out, func(a, b evidence.Flow) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Source, b.Source),
			cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method), cmp.Compare(a.Verdict, b.Verdict), cmp.Compare(a.Policy, b.Policy))
	})
	return out, nil
}

// estimate is how many addresses have most likely set the bits (linear counting).
func estimate(addresses uint64) int {
	const groups = 63
	empty := groups - bits.OnesCount64(addresses)
	if empty <= 0 {
		empty = 1
	}
	return int(math.Round(-groups * math.Log(float64(empty)/groups)))
}
