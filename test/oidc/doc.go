// Package oidc has people log in through the built binary, with a real browser
// (Chromium) at a real OpenID provider (dex).
package oidc
