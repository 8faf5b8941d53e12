package accessdb

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/goccy/go-yaml"

	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/statedb"
)

var errDryRun = errors.New("nothing is to be changed")

// Import writes the Consumers of a YAML stream, all of them or none. Those that the
// stream does not name stay as they are.
func (s *Service) Import(ctx context.Context, by access.Actor, text []byte, dryRun bool) (out access.Imported, err error) {
	list, err := parse(text)
	if err != nil {
		return out, err
	}
	for _, m := range list {
		if place, found := s.elsewhere(m.Metadata.Namespace, m.Metadata.Name); found {
			return out, fmt.Errorf("consumer %s: %w: %s", m.name(), access.ErrInFile, place)
		}
	}
	err = s.db.Write(ctx, func(tx *statedb.Tx) error {
		out = access.Imported{DryRun: dryRun}
		version, err := tx.Advance(ctx, statedb.Consumers)
		if err != nil {
			return err
		}
		changed := make([]*manifest, 0, len(list))
		before := map[string]*record{}
		for _, m := range list {
			old, err := s.read(ctx, tx, m.Metadata.Namespace, m.Metadata.Name)
			switch {
			case errors.Is(err, statedb.ErrNotFound):
				out.Created++
			case err != nil:
				return err
			default:
				text, err := m.text()
				if err != nil {
					return err
				}
				if string(text) == string(old.Manifest(true)) {
					out.Unchanged++
					continue
				}
				out.Updated++
				before[m.name()] = old
				// A key may go from one to another of them.
				if err := tx.ReleaseCredentials(ctx, old.Namespace, old.Name); err != nil {
					return err
				}
			}
			changed = append(changed, m)
		}
		for _, m := range changed {
			if _, err := s.put(ctx, tx, by, version, before[m.name()], m, "import"); err != nil {
				return err
			}
		}
		if dryRun {
			return errDryRun
		}
		return nil
	})
	if errors.Is(err, errDryRun) {
		err = nil
	}
	return out, err
}

// Export writes the consumers of the store, of one namespace unless that is empty,
// as a YAML stream that Import takes.
func (s *Service) Export(ctx context.Context, namespace string, w io.Writer) error {
	return s.each(ctx, namespace, func(r *record) error {
		text, err := yaml.JSONToYAML(r.Manifest(true))
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, "---\n"); err != nil {
			return err
		}
		_, err = w.Write(text)
		return err
	})
}

// each goes through the consumers in the order of their names, a page at a time,
// so that no transaction is open while somebody reads slowly.
func (s *Service) each(ctx context.Context, namespace string, f func(*record) error) error {
	var last statedb.Consumer
	for {
		var page []statedb.Consumer
		err := s.db.Read(ctx, func(tx *statedb.Tx) error {
			page = page[:0]
			return tx.ConsumersAfter(ctx, namespace, last.Namespace, last.Name, access.MaxPage, func(c statedb.Consumer) error {
				page = append(page, c)
				return nil
			})
		})
		if err != nil {
			return err
		}
		for i := range page {
			r, err := recordOf(&page[i])
			if err != nil {
				return err
			}
			if err := f(r); err != nil {
				return err
			}
		}
		if len(page) < access.MaxPage {
			return nil
		}
		last = page[len(page)-1]
	}
}
