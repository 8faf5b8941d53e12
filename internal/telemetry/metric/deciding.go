package metric

import "time"

// deciding is how long policies take, by their kind, and the servers that they ask, by what
// for. Both are few.
type deciding struct {
	kinds     []histogram
	questions []question
}

type question struct {
	took    histogram
	results events
}

func (d *deciding) begin(r *Registry) {
	d.kinds, d.questions = make([]histogram, len(r.opt.PolicyKinds)), make([]question, len(r.opt.Questions))
	for i := range d.kinds {
		d.kinds[i].cells.stripes, d.kinds[i].native = r.stripes, r.opt.Native
	}
	for i := range d.questions {
		q := &d.questions[i]
		q.took.cells.stripes, q.took.native, q.results.cells.stripes = r.stripes, r.opt.Native, r.stripes
	}
}

// Decided counts that policies of a kind, a number of Options.PolicyKinds, took so long to
// decide about a request. Other numbers are not counted.
func (r *Registry) Decided(kind int, took time.Duration) {
	if r != nil && kind >= 0 && kind < len(r.deciding.kinds) {
		r.deciding.kinds[kind].observe(took)
	}
}

// Asked counts a server that was asked about a request: what for is a number of
// Options.Questions, and the result one of Options.Answers. Others are not counted.
func (r *Registry) Asked(what, result int, took time.Duration) {
	if r == nil || what < 0 || what >= len(r.deciding.questions) || result < 0 || result >= min(len(r.opt.Answers), maxEvents) {
		return
	}
	q := &r.deciding.questions[what]
	q.took.observe(took)
	q.results.add(result)
}

var (
	decidingFamily = define("gridway_policy_decision_duration_seconds", histo,
		"Time that policies of a kind took to decide about a request, with what they had to ask others for. A rate limit counts twice where there are limits before and after it is known who calls.", "kind")
	askingFamily = define("gridway_policy_question_duration_seconds", histo,
		"Time until servers have answered questions about requests: of external authorization, introspection of tokens, and rate limit services.", "purpose")
	answersFamily = define("gridway_policy_questions_total", counter,
		"Questions to these servers by result: ok, which says that there was an answer, or why there was none.", "purpose", "result")
)

func (e *emitter) decided(r *Registry) {
	e.born = r.born
	for i := range r.deciding.kinds {
		if r.opt.PolicyKinds[i] == "" {
			continue
		}
		e.times(&decidingFamily, &r.deciding.kinds[i], r.opt.PolicyKinds[i])
	}
	for i := range r.deciding.questions {
		q, name := &r.deciding.questions[i], r.opt.Questions[i]
		e.times(&askingFamily, &q.took, name)
		if q.results.cells.used() {
			t := q.results.totals()
			for n, result := range r.opt.Answers {
				if n < maxEvents && t[n] > 0 {
					e.count(&answersFamily, t[n], name, result)
				}
			}
		}
	}
}
