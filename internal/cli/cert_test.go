package cli

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

func chainOf(t *testing.T, ends time.Time, names ...string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(0xabc), Subject: pkix.Name{CommonName: "common"}, DNSNames: names, NotBefore: ends.Add(-time.Hour), NotAfter: ends}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// A certificate is there once for each use, with where it comes from; one that is none
// says so.
func TestConfiguredCertificates(t *testing.T) {
	ends := time.Now().Add(time.Hour).Truncate(time.Second)
	shop := &ir.Certificate{Name: "Secret/default/shop", Chain: chainOf(t, ends, "shop.example", "www.shop.example")}
	bad := &ir.Certificate{Name: "Secret/default/bad", Chain: []byte("nothing")}
	cfg := &ir.Config{
		Listeners: []*ir.Listener{{Name: ":8443", Sections: []*ir.Section{
			{TLS: &ir.ServerTLS{Certificates: []*ir.Certificate{shop, bad}}}, {TLS: &ir.ServerTLS{Certificates: []*ir.Certificate{shop}}}, {},
		}}},
		Clusters: []*ir.Cluster{{Name: "Backend/default/bank", TLS: &ir.UpstreamTLS{Certificate: &ir.Certificate{Name: "Secret/default/client", Chain: chainOf(t, ends)}}}, {Name: "Backend/default/plain"}},
	}
	list := configured(cfg)
	if len(list) != 3 {
		t.Fatalf("%d certificates: %+v", len(list), list)
	}
	if c := list[0]; c.Use != "listener" || c.Where != ":8443" || c.Object != shop.Name || !slices.Equal(c.Names, []string{"shop.example", "www.shop.example"}) || !c.Ends.Equal(ends) || c.Serial != "abc" {
		t.Errorf("%+v", c)
	}
	if c := list[1]; c.Problem == "" {
		t.Errorf("%+v", c)
	}
	if c := list[2]; c.Use != "upstream" || !slices.Equal(c.Names, []string{"common"}) {
		t.Errorf("%+v", c)
	}
	never := certRow{}
	rows := []certRow{never, list[0], list[1]}
	slices.SortFunc(rows, func(a, b certRow) int { return order(a) - order(b) })
	if rows[0].Problem == "" || !rows[2].Ends.IsZero() {
		t.Errorf("%+v", rows)
	}
}
