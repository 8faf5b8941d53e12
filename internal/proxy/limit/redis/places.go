package redis

import (
	"context"
	_ "embed"
	"encoding/base64"
	"errors"
	"time"

	"github.com/redis/rueidis"

	"github.com/gridway/gridway/internal/budget"
)

//go:embed places.lua
var placesText string

var placesScript = newScript(placesText)

const placesAnswers = 3

// Lease grants places of requests in progress: it is the Source of leases of them.
// Asks of anything else are an error. All are sent in one round trip; after an error
// some may have been noted, which the next asks make good.
func (s *Store) Lease(ctx context.Context, holder string, asks []budget.Ask) ([]budget.Grant, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, ErrClosed
	}
	s.owned.Add(1)
	s.mu.Unlock()
	defer s.owned.Done()
	select {
	case <-s.ready:
	case <-s.ctx.Done():
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ErrDown
	}
	if !s.up.Load() {
		return nil, ErrDown
	}
	c := *s.client.Load()
	commands := make(rueidis.Commands, len(asks))
	arguments := make([][]string, len(asks))
	keys := make([][]string, len(asks))
	for i := range asks {
		if asks[i].Limit.Places == 0 {
			return nil, errors.New("only places are leased of Redis")
		}
		keys[i] = []string{placesKey(s.opt.Config.KeyPrefix, &asks[i])}
		arguments[i] = placesArgs(holder, &asks[i])
		commands[i] = placesScript.command(c, true, keys[i], arguments[i])
	}
	grants := make([]budget.Grant, len(asks))
	var errs []error
	for i, r := range c.DoMulti(ctx, commands...) {
		if e, ok := rueidis.IsRedisErr(r.Error()); ok && e.IsNoScript() {
			r = c.Do(ctx, placesScript.command(c, false, keys[i], arguments[i]))
		}
		list, err := r.AsIntSlice()
		if err == nil && len(list) != placesAnswers {
			err = errAnswer
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		now := list[0] * int64(time.Millisecond)
		grants[i] = budget.Grant{Now: now, Until: now + int64(budget.HoldTime), Units: max(list[1], 0), Rest: max(list[2], 0)}
	}
	err := errors.Join(errs...)
	s.judge(err)
	if err != nil {
		return nil, err
	}
	return grants, nil
}

func placesKey(prefix string, a *budget.Ask) string {
	key := make([]byte, 0, len(prefix)+len(a.Counter)+base64.RawURLEncoding.EncodedLen(len(a.Key))+1)
	key = append(append(append(key, prefix...), a.Counter...), ':')
	return string(base64.RawURLEncoding.AppendEncode(key, a.Key[:]))
}

func placesArgs(holder string, a *budget.Ask) []string {
	return []string{
		holder, number(a.Limit.Places), number(a.Held), number(a.Waiting), number(a.Least),
		number(a.Sent / int64(time.Microsecond)), // Lua's numbers are exact up to 2^53
		number(budget.HoldTime.Milliseconds()), number(budget.MaxHolders),
	}
}
