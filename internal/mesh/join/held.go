package join

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc/codes"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/meshpb"
)

// Files of a folder with an SVID, named as SPIFFE's helpers name them, all in PEM.
const (
	heldChain  = "svid.pem"
	heldKey    = "svid_key.pem"
	heldBundle = "bundle.pem"
	// maxHeld bounds each of them, in bytes.
	maxHeld = 1 << 20
)

// Held is an SVID that a host has already, of whoever gave it, and what proves others to it.
type Held struct {
	SVID    *identity.SVID
	Bundles []*identity.Bundle
	// Mesh is the trust domain among Bundles that the control plane is verified by; zero is
	// that of the SVID.
	Mesh identity.TrustDomain
}

// bundle is what the control plane is verified by. Without it there is none only where
// Mesh does not ask for one.
func (h *Held) bundle() (*identity.Bundle, error) {
	want := h.Mesh
	if want.IsZero() {
		want = h.SVID.ID().TrustDomain()
	}
	var have []string
	for _, b := range h.Bundles {
		if b.TrustDomain() == want {
			return b, nil
		}
		have = append(have, b.TrustDomain().Name())
	}
	if h.Mesh.IsZero() {
		return nil, nil
	}
	return nil, fmt.Errorf("with the SVID of %s come bundles of %s, and none of %s to verify the control plane by: have who gave the SVID federate with it (SPIRE: -federatesWith spiffe://%s), or give --trust-bundle",
		h.SVID.ID(), strings.Join(have, ", "), want.Name(), want.Name())
}

// ReadHeld reads the SVID of a folder: svid.pem with the chain, the leaf first, its key in
// svid_key.pem, and the roots of its trust domain in bundle.pem.
func ReadHeld(folder string) (*Held, error) {
	var text [3][]byte
	for i, name := range []string{heldChain, heldKey, heldBundle} {
		var err error
		if text[i], err = readFile(filepath.Join(folder, name)); err != nil {
			return nil, err
		}
	}
	pair, err := x509svid.Parse(text[0], text[1])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", folder, err)
	}
	roots, err := x509bundle.Parse(pair.ID.TrustDomain(), text[2])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(folder, heldBundle), err)
	}
	return held(pair.Certificates, pair.PrivateKey, []*x509bundle.Bundle{roots})
}

// AskHeld asks the SPIFFE Workload API at a Unix socket for the default SVID of this process.
func AskHeld(ctx context.Context, socket string) (*Held, error) {
	got, err := workloadapi.FetchX509Context(ctx, workloadapi.WithAddr("unix://"+socket))
	if err != nil {
		return nil, fmt.Errorf("the Workload API at %s: %w", socket, plain(err))
	}
	own := got.DefaultSVID()
	return held(own.Certificates, own.PrivateKey, got.Bundles.Bundles())
}

func held(chain []*x509.Certificate, key crypto.Signer, roots []*x509bundle.Bundle) (*Held, error) {
	s, err := identity.NewSVID(chain, key)
	if err != nil {
		return nil, err
	}
	h := &Held{SVID: s}
	for _, r := range roots {
		b, err := identity.NewBundle(identity.BundleParts{TrustDomain: r.TrustDomain(), Roots: r.X509Authorities()})
		if err != nil {
			return nil, err
		}
		h.Bundles = append(h.Bundles, b)
	}
	return h, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxHeld+1))
	if err == nil && len(text) > maxHeld {
		err = fmt.Errorf("%s has more than %d bytes", path, maxHeld)
	}
	return text, err
}

// bySVID joins by an SVID that the host has. The control plane is verified as ever, so that
// the SVID is shown to nobody else.
func (c *Client) bySVID(ctx context.Context) error {
	h, err := c.opt.SVID(ctx)
	if err != nil {
		return fmt.Errorf("the SVID to join by: %w", err)
	}
	if end := h.SVID.NotAfter(); !c.opt.Now().Before(end) {
		return fmt.Errorf("the SVID to join by, of %s, has ended at %s: %w", h.SVID.ID(), end.UTC().Format("2006-01-02T15:04:05Z"), errEnded)
	}
	td, config, err := c.trusted(h)
	if err != nil {
		return err
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return h.SVID.Certificate(), nil }
	return c.each(ctx, config, func(ctx context.Context, at meshpb.JoinClient) error {
		err := c.enroll(ctx, at, td, func(r *meshpb.EnrollRequest) error {
			r.Evidence = &meshpb.EnrollRequest_Svid{Svid: true}
			return nil
		})
		// In TLS 1.3 a client hears that its certificate was refused with the first answer.
		var refused *refusedError
		if errors.As(plain(err), &refused) && refused.code == codes.Unavailable {
			err = fmt.Errorf("%w (if it ended the connection: is %s of a trust domain that it trusts, and not denied?)", plain(err), h.SVID.ID())
		}
		return err
	})
}

// errEnded: asking again with the same SVID changes nothing, and another one may come.
var errEnded = errors.New("it has to be renewed by who gave it")
