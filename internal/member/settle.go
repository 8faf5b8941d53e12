package member

import (
	"context"
	"time"

	"github.com/gridway/gridway/internal/resident"
)

// settled is how long after the first configuration a start is over.
const settled = 5 * time.Second

// settle gives back what the start took in memory, once: most members of a mesh do little
// for most of the time, and there is one beside each workload.
func (m *member) settle(ctx context.Context) error {
	select {
	case <-m.client.Ready():
	case <-ctx.Done():
		return nil
	}
	select {
	case <-time.After(settled):
	case <-ctx.Done():
		return nil
	}
	if err := resident.Trim(); err != nil {
		m.log.Debug("memory that the start took is kept", "error", err)
	}
	return nil
}
