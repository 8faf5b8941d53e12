package app

import "github.com/gridway/gridway/internal/surface/adminapi"

// electionStatus is which process does the periodic work; nil without a state store.
func (g *Gateway) electionStatus() *adminapi.ElectionStatus {
	if g.election == nil {
		return nil
	}
	s := g.election.State()
	return &adminapi.ElectionStatus{Process: s.Process, Term: s.Term, Self: s.Self, Read: s.Read}
}
