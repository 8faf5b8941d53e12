package admit

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/jointoken"
)

// lookAtGrants is how often it is looked at whether the file of grants is another.
const lookAtGrants = time.Second

// SVIDGrants are the grants of a file, which is read anew as it changes. A file that is
// broken, or gone, leaves those that were good last. Methods may be called at the same time.
type SVIDGrants struct {
	path string

	mu    sync.Mutex
	list  []SVIDGrant // guarded by mu; the list is never changed
	state GrantsState // guarded by mu
	// info is of the file as it was looked at last; guarded by mu. nil is that it was not.
	info fs.FileInfo
	text string // guarded by mu: what was read last
}

// GrantsState is how the file of grants stands.
type GrantsState struct {
	File string
	// Grants are so many, as they were read at Read.
	Grants int
	Read   time.Time
	// Error is why the file as it is now is not what holds; empty if it is.
	Error string
}

// FixedGrants are grants without a file.
func FixedGrants(list ...SVIDGrant) *SVIDGrants { return &SVIDGrants{list: list} }

// OpenGrants reads the grants of a file.
func OpenGrants(path string) (*SVIDGrants, error) {
	s := &SVIDGrants{path: path, state: GrantsState{File: path}}
	if _, err := s.Read(); err != nil {
		return nil, err
	}
	return s, nil
}

// Read reads the file, and tells whether other grants hold than before.
func (s *SVIDGrants) Read() (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := os.Stat(s.path) // nil with an error; also of links, as mounted folders of Kubernetes have them
	s.info = info
	var text []byte
	if err == nil {
		text, err = readGrants(s.path)
	}
	var list []SVIDGrant
	if err == nil {
		list, err = ParseSVIDGrants(s.path, text)
	}
	if err != nil {
		s.state.Error = err.Error()
		return false, err
	}
	changed = s.state.Read.IsZero() || s.text != string(text)
	s.list, s.text = list, string(text)
	s.state.Grants, s.state.Error = len(list), ""
	if changed {
		s.state.Read = time.Now()
	}
	return changed, nil
}

func readGrants(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxGrantsFile+1))
}

// moved tells whether the file is another than the one that was read.
func (s *SVIDGrants) moved() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := os.Stat(s.path)
	if err != nil {
		return s.state.Error != err.Error()
	}
	was := s.info
	return was == nil || was.Size() != info.Size() || !was.ModTime().Equal(info.ModTime()) || !os.SameFile(was, info)
}

// Reload reads the file, and says in the log what came of it. changed is called if other
// grants hold.
func (s *SVIDGrants) Reload(log *slog.Logger, changed func()) {
	before := s.State()
	other, err := s.Read()
	switch after := s.State(); {
	case err != nil && before.Error != after.Error:
		log.Error("the grants for joining by SVIDs cannot be read; those that were good last hold", "file", s.path, "error", err)
	case err == nil && (other || before.Error != ""):
		log.Info("the grants for joining by SVIDs were read", "file", s.path, "grants", after.Grants)
	}
	if other {
		changed()
	}
}

// Run reads the file whenever it changes, until ctx ends. s may be nil.
func (s *SVIDGrants) Run(ctx context.Context, log *slog.Logger, changed func()) error {
	if s == nil || s.path == "" {
		return nil
	}
	tick := time.NewTicker(lookAtGrants)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if s.moved() {
			s.Reload(log, changed)
		}
	}
}

// State is how the file stands; ok is false if there is none.
func (s *SVIDGrants) State() GrantsState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// find returns what an SVID grants who wants to be somebody: the first grant that fits.
func (s *SVIDGrants) find(who string, as identity.Name) (jointoken.Grants, bool) {
	if s == nil {
		return jointoken.Grants{}, false
	}
	s.mu.Lock()
	list := s.list
	s.mu.Unlock()
	for i := range list {
		if g := list[i].grants(); list[i].of(who) && g.Allow(as) {
			return g, true
		}
	}
	return jointoken.Grants{}, false
}

// none says what is missing.
func (s *SVIDGrants) none(who, as identity.ID) string {
	return fmt.Sprintf("%s may not join as %s: an SVID of this trust domain joins as itself, and as others by a grant in the file of --svid-joins", who, as)
}
