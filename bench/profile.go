package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/gridway/gridway/bench/load"
	"github.com/gridway/gridway/bench/peers"
)

// profiled is how long a profile lasts. The load begins before and ends after it.
const profiled = 3 * time.Second

// profile writes what Gridway spends its time with under the load of a case, for
// go tool pprof, to CASE-LABEL.pprof.
func (b *bench) profile(ctx context.Context, w workload, p *contender) (err error) {
	if p.spec.Kind != peers.Gridway && p.spec.Kind != peers.Before {
		return nil
	}
	b.say.step("%s: profile of %s", w.name, p.spec.Label)
	labels := []string{p.spec.Label}
	if p.spec.Mesh != "" {
		labels = append(labels, p.spec.Label+peers.BesideServer)
	}
	loaded := make(chan error, 1)
	go func() {
		res, err := load.Busy(ctx, p.target, w.conns, (profiled+time.Second)*time.Duration(len(labels)), b.lab.Dir)
		p.count(res)
		loaded <- err
	}()
	defer func() { err = errors.Join(err, <-loaded) }()
	if err := os.MkdirAll(b.profiles, 0o755); err != nil {
		return err
	}
	for _, label := range labels { // one after the other: they share a core
		if err := b.profileOf(ctx, w.name, label); err != nil {
			return fmt.Errorf("profile of %s: %w", label, err)
		}
	}
	return nil
}

func (b *bench) profileOf(ctx context.Context, name, label string) error {
	var d net.Dialer
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, "unix", b.lab.Admin(label))
		},
	}}
	url := fmt.Sprintf("http://localhost/debug/pprof/profile?seconds=%d", int(profiled.Seconds()))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	f, err := os.Create(filepath.Join(b.profiles, name+"-"+label+".pprof"))
	if err != nil {
		return err
	}
	_, err = io.Copy(f, resp.Body)
	return errors.Join(err, f.Close())
}
