package main

import (
	"strings"
	"time"

	"github.com/gridway/gridway/bench/load"
	"github.com/gridway/gridway/bench/peers"
)

// order is what a shop might be sent, in 1 KiB.
func order() string {
	const item = `{"sku":"A-1024","name":"lamp","count":2,"price":19.9,"tags":["home","light"],"gift":false,"note":null}`
	return `{"order":{"customer":"somebody","items":[` + strings.Repeat(item+",", 8) + item + `]}}`
}

// doors lists cases of one policy alone: beside peers that have something near it, and
// beside Gridway without. Others of them are in the suite, where they came first.
func doors() []workload {
	now := time.Now()
	bare := peers.Spec{Kind: peers.Gridway, Label: "gridway-bare"}
	door := func(name, title string, d peers.Door, kinds ...peers.Kind) workload {
		w := workload{name: name, title: title, conns: 64, rate: 2000, rateConns: 64, long: true}
		w.target = load.Target{Path: "/1k", Headers: d.Headers(), Signed: d.Signature}
		for _, k := range append([]peers.Kind{peers.Gridway}, kinds...) {
			w.proxies = append(w.proxies, peers.Spec{Kind: k, Label: string(k), Door: d})
		}
		w.proxies = append(w.proxies, bare)
		return w
	}
	certificate := door("client-certificate", "Clients show certificates, TLS 1.3, kept connections", peers.Door{Certificate: true}, peers.NGINX, peers.HAProxy)
	certificate.tls = true
	body := door("json-limits", "POST 1 KiB of JSON within limits", peers.Door{JSON: true})
	body.target.JSON = order()
	browser := door("csrf", "POST of a browser, refused from other sites; headers for browsers", peers.Door{Browser: true}, peers.NGINX, peers.HAProxy)
	browser.target.JSON = order()
	return []workload{
		door("basic", "A name and a password, the same in all requests", peers.Door{Password: true}, peers.NGINX, peers.HAProxy),
		certificate,
		door("signature", "Each request is signed (hmac-sha256), and no signature is used twice", peers.Door{Signature: true}),
		door("introspection", "A token that its issuer was asked about, the same in all requests", peers.Door{Introspect: true}),
		door("session", "The session of a login, the same in all requests", peers.Door{Session: peers.NewSession(now)}),
		door("ext-authz", "Another server is asked about each request, over gRPC", peers.Door{AskGRPC: true}),
		body,
		browser,
		door("expression", "A rule in CEL about method, path and client", peers.Door{Expression: true}, peers.HAProxy),
	}
}
