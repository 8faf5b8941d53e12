package dryrun

import (
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/jwt"
	"github.com/gridway/gridway/internal/proxy/filters/authentication"
	"github.com/gridway/gridway/internal/proxy/token"
)

// Keys finds the keys that were fetched for a key set; nil if nobody knows them.
type Keys func(name string) authentication.KeySet

// tokens verifies by the keys that the configuration has, and by those that were
// fetched. Nobody waits for others.
func tokens(cfg *ir.Config, fetched Keys) authentication.Tokens {
	sets := map[string]known{}
	for _, one := range cfg.KeySets {
		if one.URL != "" && fetched != nil {
			if k := fetched(one.Name); k != nil {
				sets[one.Name] = known{k.Current}
			}
		} else if set, _, err := jwt.ParseSet(one.Inline); err == nil {
			sets[one.Name] = known{func() *jwt.Set { return set }}
		}
	}
	return authentication.Tokens{
		Keys: func(name string) authentication.KeySet {
			if k, ok := sets[name]; ok {
				return k
			}
			return nil
		},
		Verified: token.NewCache(), Gate: token.NewGate(1), Imagined: true,
	}
}

// known are keys as they are when somebody looks.
type known struct{ current func() *jwt.Set }

func (k known) Current() *jwt.Set               { return k.current() }
func (k known) Renew(*jwt.Set, func()) *jwt.Set { return k.current() }
