package acme

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// account is an account as it is stored. Its key is made once and kept: the
// authority's rate limits and authorizations are bound to it.
type account struct {
	Directory string    `json:"directory"`
	Location  string    `json:"location"`
	Contact   []string  `json:"contact,omitempty"`
	Agreed    time.Time `json:"termsOfServiceAgreed"`
	Key       string    `json:"key"`
}

// account returns the account that the order is placed by, and registers it if
// there is none yet.
func (t *conversation) account(ctx context.Context) (acme.Account, error) {
	name := t.order.Account()
	unlock, err := t.storage.Lock(ctx, "account-"+name+".lock")
	if err != nil {
		return acme.Account{}, err
	}
	defer unlock()
	key := accountKey(name)
	known, err := t.known(ctx, key)
	switch {
	case err != nil:
		return acme.Account{}, err
	case known.Location != "":
		return known, nil
	}
	if signer, ok := known.PrivateKey.(*ecdsa.PrivateKey); ok { // the authority tells the URL to who has the key
		return t.register(ctx, signer, key)
	}
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return acme.Account{}, err
	}
	return t.register(ctx, signer, key)
}

// known is the stored account, or an empty one. What is damaged would hold up new
// certificates for as long as it is there: it is set aside, for people to look
// at. The caller has the account's lock.
func (t *conversation) known(ctx context.Context, key string) (acme.Account, error) {
	got, err := load[account](ctx, t.storage, key)
	var out acme.Account
	if err == nil && got != nil {
		out, err = got.open()
	}
	if !errors.Is(err, errDamaged) {
		return out, err
	}
	aside := key + ".damaged-" + t.now().UTC().Format("20060102T150405Z")
	if err := t.storage.Move(ctx, key, aside); err != nil {
		return out, fmt.Errorf("%w; it could not be set aside", err)
	}
	t.log.Warn("certificate: the stored account is damaged, and set aside; a new one is made", "directory", t.order.Directory, "error", err, "set_aside_as", aside)
	return acme.Account{}, nil
}

// reregister makes an account that the authority no longer knows anew, with the
// same key.
func (t *conversation) reregister(ctx context.Context, old acme.Account) (acme.Account, error) {
	signer, ok := old.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return acme.Account{}, errors.New("the account's key is not one of ours")
	}
	name := t.order.Account()
	unlock, err := t.storage.Lock(ctx, "account-"+name+".lock")
	if err != nil {
		return acme.Account{}, err
	}
	defer unlock()
	return t.register(ctx, signer, accountKey(name))
}

func (t *conversation) register(ctx context.Context, signer *ecdsa.PrivateKey, key string) (acme.Account, error) {
	// Orders exist only of issuers whose terms of service the user has accepted.
	want := acme.Account{TermsOfServiceAgreed: true, PrivateKey: signer}
	for _, address := range t.order.Contact {
		want.Contact = append(want.Contact, "mailto:"+address)
	}
	if eab := t.order.EAB; eab != nil {
		err := want.SetExternalAccountBinding(ctx, t.acme, acme.EAB{KeyID: eab.KeyID, MACKey: base64.RawURLEncoding.EncodeToString(eab.Key)})
		if err != nil {
			return acme.Account{}, err
		}
	}
	made, err := t.acme.NewAccount(ctx, want)
	if err != nil {
		return acme.Account{}, err
	}
	if made.Location == "" {
		return acme.Account{}, errors.New("the authority gave the new account no URL")
	}
	made.PrivateKey = signer
	der, err := x509.MarshalECPrivateKey(signer)
	if err != nil {
		return acme.Account{}, err
	}
	return made, save(ctx, t.storage, key, account{
		Directory: t.order.Directory, Location: made.Location, Contact: t.order.Contact, Agreed: t.now().UTC(),
		Key: string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})),
	})
}

func accountKey(name string) string { return "accounts/" + name + ".json" }

// open reads the key.
func (a *account) open() (acme.Account, error) {
	block, _ := pem.Decode([]byte(a.Key))
	if block == nil {
		return acme.Account{}, fmt.Errorf("%w: the account has no key", errDamaged)
	}
	signer, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return acme.Account{}, fmt.Errorf("%w: the account's key: %w", errDamaged, err)
	}
	return acme.Account{Status: acme.StatusValid, Location: a.Location, PrivateKey: signer}, nil
}
