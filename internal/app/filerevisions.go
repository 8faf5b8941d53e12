package app

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/manage/objects"
	"github.com/gridway/gridway/internal/manage/objects/objectsdb"
	"github.com/gridway/gridway/internal/surface/adminapi"
)

// fileRevisions is what a Gateway has of the changes of its files.
type fileRevisions struct {
	// filesNews is told that files have changed.
	filesNews chan struct{}
	// recent are those of a process without a store.
	recent objects.Recent
}

const (
	// recordAgain is the wait after a change of files could not be recorded.
	recordAgain = 2 * time.Second
	// recordTimeout bounds one try.
	recordTimeout = time.Minute
)

// filesAre remembers what is in files.
func (g *Gateway) filesAre(set *store.Set) {
	g.mu.Lock()
	changed := g.state.files != set
	g.state.files = set
	g.mu.Unlock()
	if changed {
		select {
		case g.filesNews <- struct{}{}:
		default: // it will look anyway
		}
	}
}

// recordFiles keeps revisions of files, until ctx ends. What cannot be recorded now is so
// later, together with what has changed meanwhile.
func (g *Gateway) recordFiles(ctx context.Context) {
	var recorded *store.Set
	failing := false
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.filesNews:
		case <-again.C:
		}
		g.mu.Lock()
		now := g.state.files
		g.mu.Unlock()
		if now == nil || now == recorded {
			continue
		}
		err := g.recordChange(ctx, recorded, now)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if !failing {
				g.log.Warn("changes of files cannot be recorded in the state store now", "error", err)
			}
			failing = true
			again.Reset(recordAgain)
		default:
			failing, recorded = false, now
		}
	}
}

// recordChange records what is different; before is nil at first.
func (g *Gateway) recordChange(ctx context.Context, before, now *store.Set) error {
	changes := differences(before, now)
	if g.changes != nil {
		ctx, cancel := context.WithTimeout(ctx, recordTimeout)
		defer cancel()
		return g.changes.RecordFiles(ctx, objectsdb.Files{By: processName(), Changes: changes, Whole: before == nil, Digest: g.digest, Show: fileChange})
	}
	if before == nil || len(changes) == 0 { // as it began
		return nil
	}
	x := objects.Revision{At: time.Now().UTC().Truncate(time.Millisecond), By: processName(), Source: objects.Files}
	for _, c := range changes {
		if len(x.Changes) == objects.MaxChanged {
			x.Omitted = len(changes) - objects.MaxChanged
			break
		}
		op := objects.Changed
		switch {
		case c.Before == nil:
			op = objects.Created
		case c.After == nil:
			op = objects.Deleted
		}
		x.Changes = append(x.Changes, fileChange(c, op))
	}
	x.Message = objectsdb.FilesOf(x.Changes)
	g.recent.Add(x)
	return nil
}

// differences are the objects that differ between two sets, in their order.
func differences(before, now *store.Set) (out []objectsdb.FileChange) {
	if before == nil {
		before = store.NewSet(nil)
	}
	for _, gk := range now.Kinds() {
		old := before.Kind(gk.Group, gk.Kind)
		for _, o := range now.Kind(gk.Group, gk.Kind) {
			for len(old) > 0 && less(old[0], o) {
				out, old = append(out, objectsdb.FileChange{Key: old[0].Key, Before: old[0]}), old[1:]
			}
			var was *store.Object
			if len(old) > 0 && old[0].Key == o.Key {
				was, old = old[0], old[1:]
			}
			if was == nil || was != o && was.Hash != o.Hash {
				out = append(out, objectsdb.FileChange{Key: o.Key, Before: was, After: o})
			}
		}
		for _, o := range old {
			out = append(out, objectsdb.FileChange{Key: o.Key, Before: o})
		}
	}
	for _, gk := range before.Kinds() {
		if len(now.Kind(gk.Group, gk.Kind)) == 0 {
			for _, o := range before.Kind(gk.Group, gk.Kind) {
				out = append(out, objectsdb.FileChange{Key: o.Key, Before: o})
			}
		}
	}
	return out
}

func less(a, b *store.Object) bool {
	return a.Key.Namespace < b.Key.Namespace || a.Key.Namespace == b.Key.Namespace && a.Key.Name < b.Key.Name
}

// digest tells versions of an object apart. A plain digest of a short secret would give it
// away; without a secret of our own all versions of a Secret are the same.
func (g *Gateway) digest(o *store.Object) string {
	text := strconv.FormatUint(o.Hash, 16)
	if o.Key.Kind != "Secret" {
		return text
	}
	secrets, err := g.stateSecrets()
	if err != nil {
		return "secret"
	}
	mac := hmac.New(sha256.New, secrets[0])
	fmt.Fprintf(mac, "digest of %s: %s", o.Key, text)
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// fileChange is a change with texts that have no secrets. They are made of the objects, as
// "gridway get" shows them: files are not read again.
func fileChange(c objectsdb.FileChange, op objects.Op) objects.ObjectChange {
	out := objects.ObjectChange{Op: op, Name: objects.Name{Kind: c.Key.Kind, Namespace: c.Key.Namespace, Name: c.Key.Name}}
	if c.Before != nil {
		out.Place = placeText(c.Before)
		out.Before, out.BeforeValue = written(c.Before)
	}
	if c.After != nil {
		out.Place = placeText(c.After)
		out.After, out.AfterValue = written(c.After)
	}
	adminapi.Conceal(&out)
	return out
}

func placeText(o *store.Object) string {
	p := o.Locate("")
	p.Column = 0
	return p.String()
}

// written is an object in YAML, and in JSON, without what nobody has written.
func written(o *store.Object) (string, json.RawMessage) {
	text, err := json.Marshal(o.Value)
	if err != nil { // API types always marshal
		return "", nil
	}
	var v map[string]any
	if err := json.Unmarshal(text, &v); err != nil {
		return "", nil
	}
	delete(v, "status")
	if m, ok := v["metadata"].(map[string]any); ok {
		delete(m, "creationTimestamp")
	}
	if text, err = json.Marshal(v); err != nil {
		return "", nil
	}
	out, err := yaml.JSONToYAML(text)
	if err != nil {
		return "", nil
	}
	return string(out), text
}

// forgetRevisions removes old revisions from the state store, until ctx ends.
func (g *Gateway) forgetRevisions(ctx context.Context) {
	tick := time.NewTicker(forgetEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if _, elected := g.election.Mandate(); !elected {
			continue
		}
		keep := g.opt.Revisions
		if keep <= 0 {
			keep = objects.DefaultRevisions
		}
		if _, err := g.changes.Forget(ctx, keep); err != nil && ctx.Err() == nil {
			g.log.Warn("old revisions cannot be removed from the state store now", "error", err)
		}
	}
}

// revisions is what the admin API lists.
func (g *Gateway) revisions() adminapi.Revisions {
	if g.changes != nil {
		return g.changes
	}
	return remembered{&g.recent}
}

type remembered struct{ *objects.Recent }

func (r remembered) Revisions(_ context.Context, q objects.Query) ([]objects.Revision, error) {
	return r.Recent.Revisions(q), nil
}

func (r remembered) Revision(_ context.Context, number int64) (*objects.Revision, error) {
	return r.Recent.Revision(number)
}
