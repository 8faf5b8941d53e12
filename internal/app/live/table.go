package live

import (
	"errors"
	"sync"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/dryrun"
)

// Tables keeps the dry-run table of the latest configuration that somebody
// asked about.
type Tables struct {
	mu     sync.Mutex
	config *ir.Config    // guarded by mu, as is table
	table  *dryrun.Table // built from config
}

func (c *Tables) of(cfg *ir.Config, reflected dryrun.Schemas, fetched dryrun.Keys) (*dryrun.Table, error) {
	if cfg == nil {
		return nil, errors.New("no configuration is in service yet")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.config == cfg {
		return c.table, nil
	}
	t, err := dryrun.NewTranscoding(cfg, reflected, fetched)
	if err != nil {
		return nil, err
	}
	c.config, c.table = cfg, t
	return t, nil
}
