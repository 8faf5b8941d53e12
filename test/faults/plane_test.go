package faults

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// shortLife is that of SVIDs in tests that wait for their ends.
const shortLife = 30 * time.Second

// The control plane is killed under load. Proxies go on, start again without it, and what
// comes to them after it is back works as before.
func TestControlPlaneKilled(t *testing.T) {
	m := newMesh(t, "")
	c := m.control()
	m.ratings("one")
	two := m.ratings("two")
	client := m.reviews()
	client.served("one")
	l := client.load()
	l.answeredBy("two")
	c.kill()
	l.goesOn(300)
	// Endpoints that end are noticed without it, and those that start again.
	two.end()
	l.goesOn(100)
	two.start()
	two.says("kept on disk")
	l.answeredBy("two")
	c.start()
	m.ratings("three")
	l.answeredBy("three")
	l.clean()
}

// The control plane is away for longer than SVIDs live. While they are valid nothing
// happens; the log says what is about to happen; connections that are open stay; and when
// it is back all is well without a restart, as the token is good for it.
func TestCertificatesEnd(t *testing.T) {
	m := newMesh(t, "", "--svid-lifetime", shortLife.String())
	c := m.control()
	one := m.ratings("one")
	client := m.reviews()
	client.served("one")
	l := client.load()
	// It is renewed without the loss of a request.
	began := time.Now()
	for time.Since(began) < shortLife {
		l.goesOn(100)
	}
	c.kill()
	one.says("the SVID is about to end and cannot be renewed")
	client.says("the SVID is about to end and cannot be renewed")
	l.goesOn(100)
	l.clean()
	// New connections: a proxy that starts has none.
	within(t, 2*shortLife, "SVIDs have ended", func() error {
		client.kill()
		client.begin()
		within(t, patience, "it knows that its identity has ended", func() error {
			if s := client.log.String(); !strings.Contains(s, "no control plane lets this proxy into the mesh yet") {
				if strings.Contains(s, "application listens") {
					return nil
				}
				return errors.New(s)
			}
			return nil
		})
		if strings.Contains(client.log.String(), "application listens") {
			return fmt.Errorf("it is valid still")
		}
		return nil
	})
	c.start()
	client.says("application listens")
	client.served("one")
	l = client.load()
	l.goesOn(200)
	l.clean()
}

// Clocks of proxies are wrong by 10 minutes, ahead and behind.
func TestClockSkew(t *testing.T) {
	m := newMesh(t, "")
	c := m.control()
	for i, off := range []string{"10m", "-10m"} {
		x := m.prepare("ratings", fmt.Sprint("off", i))
		x.env = []string{clock + "=" + off}
		x.start()
		c.serves("default/ratings/" + x.host.IP4.String())
	}
	client := m.prepare("reviews", "client", "--upstream", "ratings=:"+upstreamPort)
	client.env = []string{clock + "=10m"}
	client.start()
	l := client.load()
	l.answeredBy("off0")
	l.answeredBy("off1")
	l.clean()
	client.end()
	client.env = []string{clock + "=-10m"}
	client.start()
	l = client.load()
	l.answeredBy("off0")
	l.answeredBy("off1")
	l.clean()
	// One that is too wrong is let in nowhere, and is told why.
	late := m.prepare("ratings", "late")
	late.env = []string{clock + "=-2h"}
	late.begin()
	late.says("is a clock wrong?")
}
