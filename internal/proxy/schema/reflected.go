package schema

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/gridway/gridway/internal/transcoding"
)

// question is what endpoints are asked for.
type question struct {
	cluster, host, services string
	refresh                 time.Duration
}

// reflected is the schema of a cluster's endpoints, as they say. One that cannot
// be used never replaces one that could.
type reflected struct {
	set      *Set
	question question
	services []string
	cancel   context.CancelFunc

	current atomic.Pointer[transcoding.Schema]
	files   []*descriptorpb.FileDescriptorProto // of current; run's alone
	fault   string                              // that was told last
}

func (r *reflected) Schema() *transcoding.Schema { return r.current.Load() }

// firstPause is that after the first failure; it doubles up to the refresh.
const firstPause = 250 * time.Millisecond

// run asks until ctx is done.
func (r *reflected) run(ctx context.Context) {
	pause := firstPause
	for {
		wait := r.question.refresh
		if r.ask(ctx) {
			pause = firstPause
		} else {
			wait = min(pause, wait)
			pause = 2 * wait
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// ask asks once, and is false if there is nothing to use.
func (r *reflected) ask(ctx context.Context) bool {
	log := r.set.opts.Log.With("cluster", r.question.cluster)
	cluster := r.set.opts.Upstreams.Cluster(r.question.cluster)
	if cluster == nil {
		return false
	}
	files, err := fetch(ctx, cluster, r.question.host, r.services)
	if ctx.Err() != nil {
		return false
	}
	same := err == nil && r.current.Load() != nil && slices.EqualFunc(files, r.files, func(a, b *descriptorpb.FileDescriptorProto) bool { return proto.Equal(a, b) })
	var s *transcoding.Schema
	if err == nil && !same {
		s, err = transcoding.Build(files, transcoding.Options{Services: r.services})
	}
	switch {
	case err != nil:
		if text := err.Error(); text != r.fault {
			r.fault = text
			log.Warn("endpoints have no schema that can be used", "error", text, "keeps", r.current.Load() != nil)
		}
		return false
	case !same:
		r.files = files
		r.current.Store(s)
		log.Info("schema of endpoints", "methods", s.Methods(), "bindings", s.Bindings())
	}
	r.fault = ""
	return true
}
