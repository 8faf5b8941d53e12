package statedb

import (
	"context"
	"database/sql"

	"github.com/pressly/goose/v3"
)

// auditGuard has the database itself keep the audit log append-only: rows are never
// changed, and go only if they are older than audit_retention says, which AddAudit
// sets for as long as it takes old rows away. Whoever writes to the database by other
// ways is refused too, unless he takes the triggers away first.
var auditGuard = map[goose.Dialect][]string{
	goose.DialectSQLite3: {
		auditRetention,
		`CREATE TRIGGER audit_unchanged BEFORE UPDATE ON audit
		 BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END`,
		// INSERT OR REPLACE would take the row before away without asking.
		`CREATE TRIGGER audit_unreplaced BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)
		 BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END`,
		`CREATE TRIGGER audit_kept BEFORE DELETE ON audit WHEN OLD.at >= COALESCE((SELECT MAX(kept_from) FROM audit_retention), 0)
		 BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END`,
	},
	goose.DialectPostgres: {
		auditRetention,
		`CREATE FUNCTION audit_guard() RETURNS trigger LANGUAGE plpgsql AS $$
		 BEGIN
			IF TG_OP = 'DELETE' THEN
				IF OLD.at < COALESCE((SELECT MAX(kept_from) FROM audit_retention), 0) THEN
					RETURN OLD;
				END IF;
			END IF;
			RAISE EXCEPTION 'the audit log is append-only';
		 END $$`,
		`CREATE TRIGGER audit_kept BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_guard()`,
		`CREATE TRIGGER audit_whole BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_guard()`,
	},
}

const auditRetention = `CREATE TABLE audit_retention (kept_from BIGINT NOT NULL)`

// guardVersion is the place of auditGuard among the migrations in files.
const guardVersion = 5

// guardAudit is the migration that makes the triggers.
func guardAudit(d goose.Dialect) *goose.Migration {
	return goose.NewGoMigration(guardVersion, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
		for _, statement := range auditGuard[d] {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	}}, nil)
}

// trimAudit takes away what is older than a time, in Unix milliseconds, which the
// triggers allow for just that long.
func (tx *Tx) trimAudit(ctx context.Context, before int64) error {
	if _, err := tx.Exec(ctx, "INSERT INTO audit_retention (kept_from) VALUES (?)", before); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "DELETE FROM audit WHERE at < ?", before); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, "DELETE FROM audit_retention")
	return err
}
