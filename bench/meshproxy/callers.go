package main

import (
	"crypto/sha256"
	"strconv"
	"time"

	"github.com/gridway/gridway/bench/load"
	"github.com/gridway/gridway/bench/peers"
	"github.com/gridway/gridway/internal/ir"
)

// known is how many callers there are.
const known = 1000

// guard has a configuration ask who calls, and tell it as an edge does.
func (o options) guard(cfg *ir.Config) {
	for i := range known {
		digest := sha256.Sum256([]byte(load.Key(i)))
		cfg.Consumers = append(cfg.Consumers, &ir.Consumer{
			Namespace: "bench", Name: "caller-" + strconv.Itoa(known+i), Groups: []string{"staff"}, GroupList: "staff",
			Credentials: []ir.ConsumerCredential{{Name: "key", KeyDigest: digest[:]}},
		})
	}
	for _, r := range cfg.Routes {
		for _, rule := range r.Rules {
			rule.Policy.Authentication = &ir.Authentication{
				Policy: "bench/keys", Namespace: "bench", AnyOf: []ir.AuthenticationMethod{{Name: "keys", APIKey: &ir.APIKeyAuth{From: []ir.CredentialSource{{Header: load.KeyHeader}}}}},
			}
		}
	}
	if o.callers == string(peers.CallersTold) {
		cfg.Listeners[0].Vouching = &ir.Vouching{Lifetime: 30 * time.Second}
	}
}
