package statedb

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrationTable is where the versions stand that the tables have gone through.
const migrationTable = "gridway_migrations"

// migrationTimeout bounds the wait for another process that changes the tables,
// and the change itself.
const migrationTimeout = 5 * time.Minute

// migrate brings the tables up to date. Of several processes one does it, the
// others wait for it.
func (db *DB) migrate(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, migrationTimeout)
	defer cancel()
	unlock, err := db.dialect.lock(ctx, db)
	if err != nil {
		return err
	}
	defer unlock()
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	dialect := goose.DialectPostgres
	if db.location.path != "" {
		dialect = goose.DialectSQLite3
	}
	p, err := goose.NewProvider(dialect, db.write, files,
		goose.WithTableName(migrationTable), goose.WithDisableGlobalRegistry(true), goose.WithSlog(slog.New(slog.DiscardHandler)),
		goose.WithGoMigrations(guardAudit(dialect)))
	if err != nil {
		return err
	}
	sources := p.ListSources()
	known := sources[len(sources)-1].Version
	at, err := p.GetDBVersion(ctx)
	if err != nil {
		return err
	}
	if at > known {
		return fmt.Errorf("%w: its tables have version %d, and this one knows %d; run the newer one, or restore a backup from before the upgrade", ErrNewer, at, known)
	}
	done, err := p.Up(ctx)
	if err != nil {
		return fmt.Errorf("change of the tables: %w", migrationCause(err))
	}
	if err := db.register(ctx); err != nil {
		return err
	}
	if len(done) > 0 {
		db.log.Info("state store", "store", db.location.String(), "version", known, "was", at)
	}
	return nil
}

func migrationCause(err error) error {
	var partial *goose.PartialError
	if errors.As(err, &partial) {
		return partial.Err
	}
	return err
}

// register gives a new store the name that the installation is known by.
func (db *DB) register(ctx context.Context) error {
	return db.Write(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO installation (name, value) VALUES ('id', ?) ON CONFLICT (name) DO NOTHING", rand.Text())
		if err != nil {
			return err
		}
		return tx.Get(ctx, "SELECT value FROM installation WHERE name = 'id'", nil, &db.installation)
	})
}
