package loop

import "time"

const (
	// keepTasks is how many spare tasks a loop keeps while it parks, however
	// long nobody needs them.
	keepTasks = 16
	// keepFor is how long it keeps more than that if nobody needs them: a stack
	// that has grown is dear to make anew, and dear to keep.
	keepFor = int64(time.Second)
)

// spares are the tasks of a loop that have no work.
type spares struct {
	tasks  []*Task
	unused int   // this many were not taken since due was set
	due    int64 // when those go; 0 if there is nothing to look at
}

func (s *spares) put(t *Task) { s.tasks = append(s.tasks, t) }

// take returns nil if there is none.
func (s *spares) take() *Task {
	n := len(s.tasks) - 1
	if n < 0 {
		return nil
	}
	t := s.tasks[n]
	s.tasks[n] = nil
	s.tasks = s.tasks[:n]
	s.unused = min(s.unused, n)
	return t
}

// trim ends those that nobody has needed for long. It returns when to look
// again, 0 if that needs no time.
func (s *spares) trim() (due int64) {
	if len(s.tasks) <= keepTasks {
		s.due = 0
		return 0
	}
	now := Now()
	switch {
	case s.due == 0:
	case now < s.due:
		return s.due
	default:
		s.dismiss(max(keepTasks, len(s.tasks)-s.unused))
		if len(s.tasks) <= keepTasks {
			s.due = 0
			return 0
		}
	}
	s.unused, s.due = len(s.tasks), now+keepFor
	return s.due
}

// dismiss ends all but the given number.
func (s *spares) dismiss(keep int) {
	for n := len(s.tasks) - 1; n >= keep; n-- {
		s.tasks[n].stop()
		s.tasks[n] = nil
		s.tasks = s.tasks[:n]
	}
}
