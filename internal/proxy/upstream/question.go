package upstream

import (
	"context"
	"errors"
	"math/rand/v2"

	"github.com/gridway/gridway/internal/proxy/upstream/health"
)

// maxAsked is how many endpoints a question goes to if the first ones cannot be
// reached.
const maxAsked = 3

// Question asks one of the endpoints, those first that get new exchanges. It
// does not count against the cluster's limits.
func (c *Cluster) Question(ctx context.Context, q *health.Question, by int64) ([]byte, error) {
	list := c.view.Load().endpoints
	if len(list) == 0 {
		return nil, errors.New("the backend has no endpoint")
	}
	start, asked := rand.IntN(len(list)), 0
	var last error
	for _, usable := range []bool{true, false} {
		for i := range list {
			e := list[(start+i)%len(list)]
			if (e.node.State() == 0) != usable {
				continue
			}
			if asked++; asked > maxAsked {
				return nil, last
			}
			answer, err := health.Ask(ctx, (*checkTarget)(e), q, by)
			var status *health.StatusError
			if err == nil || errors.As(err, &status) || ctx.Err() != nil {
				return answer, err
			}
			last = err
		}
	}
	return nil, last
}
