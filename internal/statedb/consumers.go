package statedb

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Consumers is the area of consumers and their credentials.
const Consumers Area = "consumers"

// Consumer is a row of a consumer.
type Consumer struct {
	Namespace, Name  string
	Version          int64
	Created, Updated time.Time
	// Deleted: it is not there any more, and has no manifest.
	Deleted  bool
	Manifest []byte
}

// Credential is what a consumer is found by.
type Credential struct {
	Name   string
	Digest string // in hexadecimal
	// Everywhere: nobody else in any namespace may have it.
	Everywhere bool
}

// everywhere is the namespace of credentials that belong to one consumer of all.
const everywhere = ""

// TakenError: a credential belongs to another consumer, of the namespace or, named
// "namespace/name", of any.
type TakenError struct {
	Credential, Owner string
}

func (e *TakenError) Error() string {
	return fmt.Sprintf("credential %q is one of consumer %q already", e.Credential, e.Owner)
}

// deletedFor is how long a consumer that was deleted is told as a change.
const deletedFor = 7 * 24 * time.Hour

const consumerColumns = "namespace, name, version, created, updated, deleted, manifest"

func scanConsumer(scan func(...any) error) (c Consumer, err error) {
	var created, updated, deleted int64
	if err := scan(&c.Namespace, &c.Name, &c.Version, &created, &updated, &deleted, &c.Manifest); err != nil {
		return c, err
	}
	c.Created, c.Updated, c.Deleted = time.UnixMilli(created).UTC(), time.UnixMilli(updated).UTC(), deleted != 0
	return c, nil
}

// Consumer reads one.
func (tx *Tx) Consumer(ctx context.Context, namespace, name string) (c Consumer, err error) {
	err = ErrNotFound
	each := tx.Each(ctx, "SELECT "+consumerColumns+" FROM consumers WHERE namespace = ? AND name = ? AND deleted = 0", []any{namespace, name},
		func(scan func(...any) error) error { c, err = scanConsumer(scan); return err })
	if each != nil {
		return c, each
	}
	return c, err
}

// ConsumersAfter reads up to limit consumers in the order of namespace and name,
// those behind the given one; of one namespace unless that is empty.
func (tx *Tx) ConsumersAfter(ctx context.Context, only, namespace, name string, limit int, f func(Consumer) error) error {
	query, args := "SELECT "+consumerColumns+" FROM consumers WHERE deleted = 0 AND (namespace > ? OR namespace = ? AND name > ?)", []any{namespace, namespace, name}
	if only != "" {
		query, args = query+" AND namespace = ?", append(args, only)
	}
	return tx.Each(ctx, query+" ORDER BY namespace, name LIMIT ?", append(args, limit), consumers(f))
}

// ConsumersChanged reads what has changed after a version, in the order of the
// changes.
func (tx *Tx) ConsumersChanged(ctx context.Context, version int64, f func(Consumer) error) error {
	return tx.Each(ctx, "SELECT "+consumerColumns+" FROM consumers WHERE version > ? ORDER BY version", []any{version}, consumers(f))
}

func consumers(f func(Consumer) error) func(func(...any) error) error {
	return func(scan func(...any) error) error {
		c, err := scanConsumer(scan)
		if err != nil {
			return err
		}
		return f(c)
	}
}

// CountConsumers tells how many there are.
func (tx *Tx) CountConsumers(ctx context.Context) (n int64, err error) {
	err = tx.Get(ctx, "SELECT COUNT(*) FROM consumers WHERE deleted = 0", nil, &n)
	return n, err
}

// PutConsumer writes a consumer, which is new or replaces itself, with the
// credentials that it is found by. The
// transaction has advanced the area to c.Version.
func (tx *Tx) PutConsumer(ctx context.Context, c *Consumer, credentials []Credential, isNew bool) error {
	_, err := tx.Exec(ctx, `INSERT INTO consumers (`+consumerColumns+`) VALUES (?, ?, ?, ?, ?, 0, ?)
		ON CONFLICT (namespace, name) DO UPDATE SET version = excluded.version, created = excluded.created, updated = excluded.updated, deleted = 0, manifest = excluded.manifest`,
		c.Namespace, c.Name, c.Version, c.Created.UnixMilli(), c.Updated.UnixMilli(), string(c.Manifest))
	if err != nil {
		return err
	}
	if !isNew {
		if err := tx.ReleaseCredentials(ctx, c.Namespace, c.Name); err != nil {
			return err
		}
	}
	for _, cr := range credentials {
		namespace, owner := c.Namespace, c.Name
		if cr.Everywhere {
			namespace, owner = everywhere, c.Namespace+"/"+c.Name
		}
		n, err := tx.Exec(ctx, "INSERT INTO consumer_credentials (namespace, digest, consumer, credential) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", namespace, cr.Digest, owner, cr.Name)
		if err != nil {
			return err
		}
		if n == 0 {
			return tx.taken(ctx, namespace, cr)
		}
	}
	return nil
}

// ReleaseCredentials lets others have the credentials of a consumer, until it is
// put again.
func (tx *Tx) ReleaseCredentials(ctx context.Context, namespace, name string) error {
	_, err := tx.Exec(ctx, "DELETE FROM consumer_credentials WHERE namespace = ? AND consumer = ?", namespace, name)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "DELETE FROM consumer_credentials WHERE namespace = ? AND consumer = ?", everywhere, namespace+"/"+name)
	return err
}

func (tx *Tx) taken(ctx context.Context, namespace string, cr Credential) error {
	var owner string
	err := tx.Get(ctx, "SELECT consumer FROM consumer_credentials WHERE namespace = ? AND digest = ?", []any{namespace, cr.Digest}, &owner)
	return errors.Join(err, &TakenError{Credential: cr.Name, Owner: owner})
}

// DeleteConsumer takes one away, and answers ErrNotFound if there is none. The
// transaction has advanced the area to version.
func (tx *Tx) DeleteConsumer(ctx context.Context, namespace, name string, version int64, now time.Time) error {
	n, err := tx.Exec(ctx, "UPDATE consumers SET deleted = 1, manifest = '', version = ?, updated = ? WHERE namespace = ? AND name = ? AND deleted = 0", version, now.UnixMilli(), namespace, name)
	if err != nil {
		return err
	}
	if n == 0 {
		return ErrNotFound
	}
	if err := tx.ReleaseCredentials(ctx, namespace, name); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "DELETE FROM consumers WHERE deleted = 1 AND updated < ?", now.Add(-deletedFor).UnixMilli())
	return err
}

// Use is when a credential was accepted last.
type Use struct {
	Namespace, Digest string
	At                time.Time
}

// usesKept is how long it is remembered when a credential was used last.
const usesKept = 400 * 24 * time.Hour

// NoteUses keeps the latest uses of credentials, and forgets those of long ago.
func (tx *Tx) NoteUses(ctx context.Context, list []Use, now time.Time) error {
	s, err := tx.Prepare(ctx, `INSERT INTO credential_uses (namespace, digest, used, noted) VALUES (?, ?, ?, ?)
		ON CONFLICT (namespace, digest) DO UPDATE SET used = excluded.used, noted = excluded.noted WHERE credential_uses.used < excluded.used`)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, u := range list {
		if _, err := s.ExecContext(ctx, u.Namespace, u.Digest, u.At.UnixMilli(), now.UnixMilli()); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, "DELETE FROM credential_uses WHERE noted < ?", now.Add(-usesKept).UnixMilli())
	return err
}

// UsesNoted reads the uses that were noted since a time.
func (tx *Tx) UsesNoted(ctx context.Context, since time.Time, f func(Use) error) error {
	return tx.Each(ctx, "SELECT namespace, digest, used FROM credential_uses WHERE noted >= ?", []any{since.UnixMilli()}, func(scan func(...any) error) error {
		var u Use
		var used int64
		if err := scan(&u.Namespace, &u.Digest, &used); err != nil {
			return err
		}
		u.At = time.UnixMilli(used).UTC()
		return f(u)
	})
}
