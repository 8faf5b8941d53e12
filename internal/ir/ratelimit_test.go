package ir_test

import (
	"testing"

	"github.com/gridway/gridway/internal/ir"
)

func TestCallers(t *testing.T) {
	acme := &ir.Consumer{Namespace: "shop", Name: "acme", Plan: "gold", Groups: []string{"partners", "eu"}}
	plain := &ir.Consumer{Namespace: "shop", Name: "plain"}
	for _, c := range []struct {
		of       ir.Callers
		consumer *ir.Consumer
		known    bool
		want     bool
	}{
		{ir.Callers{Plans: []string{"trial", "gold"}}, acme, true, true},
		{ir.Callers{Plans: []string{"trial"}}, acme, true, false},
		{ir.Callers{Plans: []string{"trial"}}, plain, true, false},
		{ir.Callers{Groups: []string{"eu"}}, acme, true, true},
		{ir.Callers{Groups: []string{"us"}, Plans: []string{"gold"}}, acme, true, true},
		{ir.Callers{Groups: []string{"us"}}, acme, true, false},
		{ir.Callers{Consumers: []string{"shop/acme"}}, acme, true, true},
		{ir.Callers{Consumers: []string{"shop/acm", "shop/acmee", "other/acme", "shopacme", "sho/pacme"}}, acme, true, false},
		{ir.Callers{Consumers: []string{"shop/acme"}, Unknown: true}, nil, false, true},
		{ir.Callers{Consumers: []string{"shop/acme"}}, nil, false, false},
		{ir.Callers{Unknown: true}, nil, true, false}, // known by a token, and no Consumer
		{ir.Callers{Unknown: true}, acme, true, false},
	} {
		if got := c.of.Include(c.consumer, c.known); got != c.want {
			t.Errorf("%s and %v, known %t: %t", &c.of, c.consumer, c.known, got)
		}
	}
	all := ir.Callers{Plans: []string{"a", "b"}, Groups: []string{"c"}, Consumers: []string{"d/e"}, Unknown: true}
	if got := all.String(); got != "plans a, b; groups c; consumers d/e; unknown callers" {
		t.Error(got)
	}
}
