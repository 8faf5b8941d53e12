package peers

import (
	"encoding/base64"
	"fmt"
	"time"

	"github.com/gridway/gridway/bench/load"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/password"
	"github.com/gridway/gridway/internal/proxy/login"
)

// What callers show who come through a Door. None of it protects anything.
const (
	opaque       = "an-opaque-token-of-the-benchmark"
	userName     = "somebody"
	userPassword = "correct horse battery staple"
	clientID     = "bench"
	cookieName   = "bench"
	cookieKey    = "a-key-for-cookies-of-the-benchmark-only"
)

// Headers that requests must have, beside keys and signatures.
func (d Door) Headers() []string {
	var list []string
	switch {
	case d.Token != "":
		list = append(list, "Authorization: Bearer "+d.Token)
	case d.Introspect:
		list = append(list, "Authorization: Bearer "+opaque)
	case d.Password:
		list = append(list, "Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte(userName+":"+userPassword)))
	}
	if d.Session != "" {
		list = append(list, "Cookie: "+d.Session)
	}
	if d.Browser {
		list = append(list, "Sec-Fetch-Site: same-origin")
	}
	return list
}

// NewSession is the cookie of somebody who has logged in just now.
func NewSession(now time.Time) string {
	logins := login.New(login.Options{Offline: true})
	defer logins.Close()
	logins.Begin(&ir.Config{Logins: []*ir.Login{{Name: cookieName, Issuer: issuer, ClientID: clientID, CookieKeys: [][]byte{[]byte(cookieKey)}}}})
	at := now.Unix()
	sealed := logins.Login(cookieName).Current().Seal(cookieName, &login.Session{
		ID: NewToken(now), Scope: "openid", Began: at, Used: at, Renewed: at, Expires: now.Add(24 * time.Hour).Unix(),
	})
	return fmt.Sprintf("%s=1.%s", cookieName, sealed)
}

// What the templates say of callers.

// User is the name of who has the password Pass.
func (Door) User() string { return userName }

// Pass is the password of User.
func (Door) Pass() string { return userPassword }

// PassHash is what Gridway keeps of Pass.
func (Door) PassHash() string { return password.Make([]byte(userPassword)) }

// ClientID is Gridway's own at servers that it asks.
func (Door) ClientID() string { return clientID }

// CookieName is that of a session's cookie, which CookieKey encrypts.
func (Door) CookieName() string { return cookieName }

// CookieKey encrypts the cookies of sessions.
func (Door) CookieKey() string { return cookieKey }

// Signer is whose key SigningKey is.
func (Door) Signer() string { return load.SigningKeyID }

// SigningKey signs requests.
func (Door) SigningKey() string { return load.SigningKey }

// Subject is the name in the certificates of clients.
func (Door) Subject() string { return ClientSubject }
