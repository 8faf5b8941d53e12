// Package oidc has people log in through the built binary, with a real browser
// (Chromium) at a real OpenID provider (dex), and programs get access tokens of it with
// clients that others wrote.
package oidc
