package faults

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gridway/gridway/test/netns"
)

// impatient is what a service needs for faults that nobody tells of: a time after which a
// try has failed, others that follow it, and no more traffic for who fails.
const impatient = `apiVersion: gridway.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: ratings}
spec:
  targetRefs: [{group: "", kind: Service, name: ratings}]
  timeouts: {connect: 1s, backendRequest: 1s, request: 10s}
  retry: {attempts: 3, retryOn: [ConnectFailure, Reset, Timeout, GatewayError]}
  outlierDetection: {consecutiveGatewayErrors: 3, baseEjection: 5s}
`

// A proxy is killed, and its program with it: peers send elsewhere what it had not answered,
// without a policy that says so.
func TestProxyKilled(t *testing.T) {
	m := newMesh(t, "")
	m.control()
	one, two := m.ratings("one"), m.ratings("two")
	client := m.reviews()
	client.served("one")
	client.served("two")
	l := client.load()
	for range 2 {
		l.answeredBy("two")
		two.kill()
		l.goesOn(200)
		two.start()
	}
	l.answeredBy("two")
	one.kill()
	l.goesOn(200)
	l.clean()
}

// stopped has a process do nothing until the test ends, or go is called.
func stopped(t *testing.T, pid int) (goOn func()) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	goOn = func() { _ = syscall.Kill(pid, syscall.SIGCONT) }
	t.Cleanup(goOn)
	return goOn
}

// A program answers nothing any more, but is there: with a policy for that clients notice
// nothing but a delay, and it gets its share again when it is back.
func TestProgramHangs(t *testing.T) {
	m := newMesh(t, impatient)
	m.control()
	m.ratings("one")
	m.ratings("two")
	client := m.reviews()
	client.served("one")
	hung := client.served("two").PID
	if name, err := os.ReadFile("/proc/" + strconv.Itoa(hung) + "/comm"); err != nil || !strings.HasPrefix(string(name), "faults") {
		t.Fatalf("process %d is %q: %v", hung, name, err)
	}
	l := client.load()
	l.answeredBy("two")
	goOn := stopped(t, hung)
	l.goesOn(1000)
	goOn()
	l.answeredBy("two")
	l.clean()
}

// A proxy hangs, or its host: nobody answers, and no connection ends.
func TestHostGone(t *testing.T) {
	m := newMesh(t, impatient)
	m.control()
	m.ratings("one")
	two := m.ratings("two")
	client := m.reviews()
	client.served("one")
	client.served("two")
	l := client.load()
	l.answeredBy("two")
	two.host.Cut()
	l.goesOn(1000)
	two.host.Join()
	l.answeredBy("two")
	goOn := stopped(t, two.cmd.Process.Pid)
	l.goesOn(1000)
	goOn()
	l.answeredBy("two")
	l.clean()
}

// One host has a link that loses 30% of the packets in each direction and delays the others
// by 200 ms: what it does not do in time others do.
func TestPoorLink(t *testing.T) {
	m := newMesh(t, impatient)
	m.control()
	m.ratings("one")
	two := m.ratings("two")
	client := m.reviews()
	client.served("one")
	client.served("two")
	l := client.load()
	l.answeredBy("two")
	two.host.Impair(netns.Impairment{Loss: 0.3, Delay: 200 * time.Millisecond})
	l.goesOn(2000)
	two.host.Impair(netns.Impairment{})
	l.answeredBy("two")
	l.clean()
}
