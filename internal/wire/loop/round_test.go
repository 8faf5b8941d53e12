package loop

import (
	"fmt"
	"slices"
	"testing"
)

// note tells that it was resumed.
type note struct {
	name string
	log  *[]string
	idle bool
}

func (n *note) Resume(*Task) bool {
	*n.log = append(*n.log, n.name)
	return n.idle
}

// What has begun goes on before a few of those begin that were idle.
func TestWhatHasBegunComesFirst(t *testing.T) {
	l, err := newLoop(&Group{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	defer l.spare.dismiss(0)
	var log, want []string
	const idle = 2*beginners + 3
	for i := range idle {
		s := &Sock{group: l.group}
		s.loop.Store(l)
		s.SetHandler(&note{fmt.Sprint("socket ", i), &log, true})
		l.push(work{sock: s})
	}
	socket := 0
	for round := range 3 {
		for i := range 2 {
			name := fmt.Sprint("round ", round, " task ", i)
			l.push(work{handler: &note{name, &log, false}})
			want = append(want, name)
		}
		for range min(beginners, idle-socket) {
			want = append(want, fmt.Sprint("socket ", socket))
			socket++
		}
		if !l.round() {
			t.Fatal("the loop was taken")
		}
		if !slices.Equal(log, want) {
			t.Fatalf("round %d:\n%q, want\n%q", round, log, want)
		}
	}
	if l.ready.len() != 0 || l.fresh.len() != 0 {
		t.Errorf("%d and %d are left", l.ready.len(), l.fresh.len())
	}
}
