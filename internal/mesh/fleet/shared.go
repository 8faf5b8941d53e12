package fleet

import (
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/statedb"
)

const (
	defaultEvery = 2 * time.Second
	// beats and silent are in multiples of it: between two signs of life, and when a
	// control plane counts as gone.
	beats  = 5
	silent = 15
	// farewell bounds the wait for the store at the end.
	farewell = time.Second
)

// SharedOptions are for Share.
type SharedOptions struct {
	DB *statedb.DB
	// Collect makes the own report, and Moment is another number when it may have
	// changed.
	Collect func() *Report
	Moment  func() uint64
	// Elsewhere is told since when proxies are connected to others.
	Elsewhere func(since map[string]time.Time)
	// Every is how often reports are written, where there is somebody to read them, and
	// read; 0 is two seconds.
	Every time.Duration
	Log   *slog.Logger
}

// Shared tells other control planes of a state store what the proxies of this one serve,
// and knows what theirs do. While it is alone it writes no more than that it is there.
type Shared struct {
	opt     SharedOptions
	replica string

	mu     sync.Mutex
	others map[string]*Report // guarded by mu, by replica

	// What follows is Run's.
	digests map[string]string // of others, as read
	written string            // digest of what was written
	moment  uint64            // of what was written
	beat    time.Time
	failed  string
}

// Share makes a control plane one of several. Nothing happens before Run.
func Share(o SharedOptions) *Shared {
	o.Every = cmp.Or(o.Every, defaultEvery)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Shared{opt: o, replica: rand.Text(), others: map[string]*Report{}, digests: map[string]string{}}
}

// Others are the reports of other control planes, in an order that stays. They are never
// changed.
func (s *Shared) Others() []*Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*Report, 0, len(s.others))
	for _, replica := range slices.Sorted(maps.Keys(s.others)) {
		out = append(out, s.others[replica])
	}
	return out
}

// Replica is how this control plane calls itself before others.
func (s *Shared) Replica() string { return s.replica }

// Run writes and reads until ctx ends.
func (s *Shared) Run(ctx context.Context) error {
	tick := time.NewTicker(s.opt.Every)
	defer tick.Stop()
	defer s.end(context.WithoutCancel(ctx))
	for {
		s.sync(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (s *Shared) end(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, farewell)
	defer cancel()
	if err := s.opt.DB.Write(ctx, func(tx *statedb.Tx) error { return tx.EndMeshReport(ctx, s.replica) }); err != nil {
		s.opt.Log.Info("other control planes wait for a while before they take this one for gone", "error", err)
	}
}

func (s *Shared) sync(ctx context.Context) {
	err := s.read(ctx)
	if err == nil {
		err = s.write(ctx)
	}
	switch {
	case err == nil && s.failed != "":
		s.opt.Log.Info("what proxies of other control planes serve is known again")
		s.failed = ""
	case err != nil && ctx.Err() == nil && s.failed != err.Error():
		s.failed = err.Error()
		s.opt.Log.Warn("what proxies serve cannot be shared with other control planes", "error", err)
	}
}

// write says that this control plane is there and, if somebody reads it, what its proxies
// serve.
func (s *Shared) write(ctx context.Context) error {
	now := time.Now()
	s.mu.Lock()
	alone := len(s.others) == 0
	s.mu.Unlock()
	if now.Sub(s.beat) > silent*s.opt.Every {
		s.written = "" // others may have forgotten it
	}
	var report *statedb.MeshReport
	moment := s.opt.Moment()
	if !alone && (s.written == "" || moment != s.moment) {
		content, err := encode(s.opt.Collect())
		if err != nil {
			return err
		}
		digest := strconv.FormatUint(xxhash.Sum64String(content), 36)
		if digest == s.written {
			s.moment = moment
		} else {
			report = &statedb.MeshReport{Replica: s.replica, Digest: digest, Content: content}
		}
	}
	beat := s.beat.IsZero() || now.Sub(s.beat) >= beats*s.opt.Every
	if report == nil && !beat {
		return nil
	}
	err := s.opt.DB.Write(ctx, func(tx *statedb.Tx) error {
		if beat {
			if err := tx.SeeMeshReport(ctx, s.replica, 2*silent*s.opt.Every); err != nil {
				return err
			}
		}
		if report == nil {
			return nil
		}
		return tx.PutMeshReport(ctx, report)
	})
	if err != nil {
		return err
	}
	s.beat = now
	if report != nil {
		s.written, s.moment = report.Digest, moment
	}
	return nil
}

// read takes in what others say, and forgets those that are gone.
func (s *Shared) read(ctx context.Context) error {
	there, changed := map[string]bool{}, map[string]string{}
	digests := map[string]string{}
	err := s.opt.DB.Read(ctx, func(tx *statedb.Tx) error {
		clear(there)
		clear(changed)
		list, err := tx.MeshReports(ctx, silent*s.opt.Every)
		if err != nil {
			return err
		}
		for _, r := range list {
			if r.Replica == s.replica {
				continue
			}
			there[r.Replica] = true
			if r.Digest == s.digests[r.Replica] {
				continue
			}
			digest, content, err := tx.MeshReportContent(ctx, r.Replica)
			if err != nil {
				return err
			}
			digests[r.Replica], changed[r.Replica] = digest, content
		}
		return nil
	})
	if err != nil {
		return err
	}
	read := map[string]*Report{}
	for replica, content := range changed {
		report := &Report{}
		if content != "" {
			if report, err = decode(content); err != nil {
				return err
			}
		}
		report.Replica = replica
		read[replica] = report
	}
	s.mu.Lock()
	for replica := range there {
		if s.others[replica] == nil && read[replica] == nil {
			read[replica] = &Report{Replica: replica} // it has said nothing yet
		}
	}
	maps.Copy(s.others, read)
	maps.Copy(s.digests, digests)
	maps.DeleteFunc(s.others, func(replica string, _ *Report) bool { return !there[replica] })
	maps.DeleteFunc(s.digests, func(replica, _ string) bool { return !there[replica] })
	s.mu.Unlock()
	s.tell()
	return nil
}

// tell has proxies forgotten here that are connected to others.
func (s *Shared) tell() {
	since := map[string]time.Time{}
	for _, r := range s.Others() {
		for _, p := range r.Proxies {
			if p.State != distrib.StateGone && p.Since.After(since[p.Name]) {
				since[p.Name] = p.Since
			}
		}
	}
	if len(since) > 0 {
		s.opt.Elsewhere(since)
	}
}
