package view_test

import (
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/view"
)

func TestImagine(t *testing.T) {
	m := newMesh(t, shop+`---
apiVersion: gridway.dev/v1alpha1
kind: MeshPolicy
metadata: {name: lab, namespace: lab}
spec: {egress: Deny}
`)
	var address string
	for _, s := range m.out.Mesh.Services {
		if s.Name == "reviews" {
			address = s.Addresses[0].String()
		}
	}
	for host, want := range map[string]string{
		"reviews.shop": "HTTPRoute/lab/patient", "reviews.shop:80": "HTTPRoute/lab/patient", address: "HTTPRoute/lab/patient",
		"db.shop:5432": "Service/shop/db:5432", "reviews": "", "www.example.com": "", "10.0.0.1:80": "",
	} {
		i, err := view.Imagine(m.out.Config, m.out.Mesh, "lab", host)
		if err != nil {
			t.Errorf("%s: %v", host, err)
			continue
		}
		got := ""
		if i.Service != nil {
			for _, r := range i.Client.Routes {
				got += r.Name
			}
			for _, r := range i.Client.Streams {
				got += r.Name
			}
			if len(i.Client.Listeners[0].Sections) != 1 || len(i.Server.Listeners[0].Sections) != 1 {
				t.Errorf("%s: %+v", host, i.Client.Listeners[0])
			}
		} else if i.Egress != ir.EgressDeny {
			t.Errorf("%s: egress %s", host, i.Egress)
		}
		if got != want {
			t.Errorf("%s leads to %q, want %q", host, got, want)
		}
	}
	for host, want := range map[string]string{"reviews.shop:99": "has no port 99: its ports are 80", "reviews.shop:http": "not a port", "db.shop": "5432"} {
		if _, err := view.Imagine(m.out.Config, m.out.Mesh, "lab", host); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", host, err, want)
		}
	}
}
