package statedb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"golang.org/x/sys/unix"
)

// postgresDialect is PostgreSQL.
type postgresDialect struct{}

const (
	channel = "gridway_state"
	// migrationLock is the number of the advisory lock under which tables change.
	migrationLock = 0x67726964776179
	// quietTime is how long the connection that listens may be silent before it is
	// asked whether it is there.
	quietTime = 15 * time.Second
	// idleTransaction is how long the server waits for the next statement of a transaction
	// before it ends that, and gives back what others wait for: a process that is cut off or
	// stopped in the middle of a change must not stop all others.
	idleTransaction = 5 * time.Second
	// deadPeer is how long the server may leave unacknowledged what was sent to it before
	// the connection counts as broken; without it that takes the kernel a quarter of an hour.
	deadPeer = 10 * time.Second
	// The waits between two tries to listen again grow from the first to the last.
	firstRetry, lastRetry = 100 * time.Millisecond, 5 * time.Second
)

func (db *DB) openPostgres(ctx context.Context) error {
	db.dialect = postgresDialect{}
	config := db.location.config.Copy()
	// pgx asks for unix and tcp; a URL cannot choose how it connects.
	config.DialFunc = (&net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: quietTime, Interval: deadPeer / 3, Count: 3}, Control: bounded}).DialContext
	db.write = stdlib.OpenDB(*config, stdlib.OptionAfterConnect(func(ctx context.Context, c *pgx.Conn) error {
		// Not a parameter of the start, which poolers of connections may refuse.
		_, err := c.Exec(ctx, fmt.Sprintf("SET idle_in_transaction_session_timeout = %d", idleTransaction.Milliseconds()))
		return err
	}))
	db.write.SetMaxOpenConns(serverConnections)
	db.write.SetMaxIdleConns(serverConnections)
	db.write.SetConnMaxIdleTime(5 * time.Minute)
	db.read = db.write
	return db.write.PingContext(ctx)
}

// bounded has a connection of TCP end when its peer acknowledges nothing any more (RFC 5482
// has the same for both ends).
func bounded(network, _ string, c syscall.RawConn) (err error) {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	failed := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(deadPeer.Milliseconds()))
	})
	return errors.Join(failed, err)
}

// rebind counts the arguments: $1, $2. No query here has a ? in a literal.
func (postgresDialect) rebind(query string) string {
	if !strings.Contains(query, "?") {
		return query
	}
	var b strings.Builder
	for n := 1; ; n++ {
		before, rest, more := strings.Cut(query, "?")
		b.WriteString(before)
		if !more {
			return b.String()
		}
		b.WriteString("$" + strconv.Itoa(n))
		query = rest
	}
}

// lock takes an advisory lock, which the server gives back when the connection
// ends.
func (postgresDialect) lock(ctx context.Context, db *DB) (unlock func(), err error) {
	conn, err := db.write.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", int64(migrationLock)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return func() {
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", int64(migrationLock))
		_ = conn.Close()
	}, nil
}

// notify is sent by the server when the transaction has been committed.
func (postgresDialect) notify(ctx context.Context, tx *sql.Tx, area Area) error {
	_, err := tx.ExecContext(ctx, "SELECT pg_notify($1, $2)", channel, string(area))
	return err
}

// follow listens on a connection of its own. After each connect it tells of a
// change of anything: what happened before is not known.
func (postgresDialect) follow(ctx context.Context, db *DB, changed func(Area)) {
	wait := firstRetry
	for told := false; ctx.Err() == nil; {
		err := listen(ctx, db.location.config.Copy(), changed, func() {
			if told {
				db.log.Info("the state store tells of changes again")
			}
			wait, told = firstRetry, false
		})
		if ctx.Err() != nil {
			return
		}
		if !told {
			told = true
			db.log.Warn("the state store does not tell of changes; trying again", "store", db.location.String(), "error", wrap(err).Error())
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
		wait = min(2*wait, lastRetry)
	}
}

// listen returns when the connection has ended.
func listen(ctx context.Context, config *pgx.ConnConfig, changed func(Area), connected func()) error {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(closing)
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return err
	}
	connected()
	changed("")
	for {
		waiting, cancel := context.WithTimeout(ctx, quietTime)
		n, err := conn.WaitForNotification(waiting)
		cancel()
		switch {
		case err == nil:
			changed(Area(n.Payload))
		case ctx.Err() == nil && pgconn.Timeout(err) && !conn.IsClosed():
			asking, cancel := context.WithTimeout(ctx, connectTimeout)
			err = conn.Ping(asking)
			cancel()
			if err != nil {
				return err
			}
		default:
			return err
		}
	}
}

func (postgresDialect) isolation() *sql.TxOptions {
	return &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
}

func (postgresDialect) forUpdate() string { return " FOR UPDATE" }

// clock is not that of the transaction's begin: it may have waited for locks.
func (postgresDialect) clock() string {
	return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"
}
