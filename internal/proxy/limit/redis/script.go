package redis

import (
	"crypto/sha1" //nolint:gosec // Redis names scripts by it
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/gridway/gridway/internal/proxy/limit"
)

//go:embed charge.lua
var charge string

var chargeScript = newScript(charge)

// script is one that Redis runs.
type script struct{ text, name string }

func newScript(text string) script {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // see above
	return script{text, hex.EncodeToString(sum[:])}
}

// command runs the script, by its name if Redis should know it.
func (s *script) command(c rueidis.Client, byName bool, keys, args []string) rueidis.Completed {
	if byName {
		return c.B().Evalsha().Sha1(s.name).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build()
	}
	return c.B().Eval().Script(s.text).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build()
}

// The statuses of an answer.
const (
	statusRefused = iota
	statusCharged
	statusOtherWindow
)

const (
	take = "take"
	add  = "add"
	// argsPerKey and answersPerKey are what the script takes and says of each key.
	argsPerKey    = 6
	answersPerKey = 3
	answerHead    = 2
)

// step is what one run of the script charges: the charges of a call by their place.
type step struct {
	places []int
	keys   []string
}

// answer is what the script has said.
type answer struct {
	status  int
	seconds int64 // by the clock of Redis
	values  []int64
}

var errAnswer = errors.New("the answer of the script is not what it should be")

func parse(r rueidis.RedisResult, keys int) (answer, error) {
	list, err := r.AsIntSlice()
	switch {
	case err != nil:
		return answer{}, err
	case len(list) < answerHead:
		return answer{}, errAnswer
	}
	a := answer{status: int(list[0]), seconds: list[1], values: list[answerHead:]}
	if a.status != statusOtherWindow && len(a.values) != keys*answersPerKey {
		return answer{}, errAnswer
	}
	return a, nil
}

// learn writes down what the script has said of a step's charges.
func (a *answer) learn(charges []limit.Charge, places []int) {
	for i, at := range places {
		v, c := a.values[i*answersPerKey:], &charges[at]
		c.Refused = v[0] != 0
		c.Use = limit.Use{Used: uint64(max(v[1], 0)), Next: time.Duration(max(v[2], 0)) * time.Microsecond}
	}
}

// args are those of a run of the script at a time by the clock of Redis.
func args(mode string, charges []limit.Charge, places []int, now time.Time) []string {
	out := make([]string, 1, 1+len(places)*argsPerKey)
	out[0] = mode
	for _, at := range places {
		c := &charges[at]
		dry := "0"
		if c.Cfg.DryRun {
			dry = "1"
		}
		var kind string
		var x, y, z int64
		if q := c.Cfg.Quota; q != nil {
			kind, x = "q", q.Amount
			y, z = c.Limit.Window(now)
		} else {
			r := c.Cfg.Rate
			kind, x, y, z = "r", r.Units, r.Period.Microseconds(), r.Burst
		}
		out = append(out, kind, number(c.Cost), dry, number(x), number(y), number(z))
	}
	return out
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

// keyOf names what is charged. What is in braces decides on the slot of a cluster.
func keyOf(prefix string, c *limit.Charge) string {
	g := c.Cfg.Global
	key := make([]byte, 0, len(prefix)+len(g.Group)+len(g.Counter)+base64.RawURLEncoding.EncodedLen(len(c.Key))+3)
	key = append(append(append(key, prefix...), '{'), g.Group...)
	key = append(append(append(key, '}'), g.Counter...), ':')
	return string(base64.RawURLEncoding.AppendEncode(key, c.Key[:]))
}
