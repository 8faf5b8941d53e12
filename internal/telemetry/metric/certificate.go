package metric

import "time"

// Certificate is the present state of one certificate that is issued and
// renewed automatically. There are as many as the configuration asks for.
type Certificate struct {
	Secret, Issuer string // "namespace/name"
	// NotBefore and NotAfter are zero while there is none, Next while nothing
	// is planned.
	NotBefore, NotAfter, Next time.Time
	// Failures in a row.
	Failures       int
	Issued, Failed uint64
}

// SetCertificates names the function that reads the certificates at each scrape.
func (r *Registry) SetCertificates(read func(yield func(Certificate))) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.certs = read
}

func (e *emitter) certificate(c Certificate) {
	if !e.room("issued_certificate") {
		return
	}
	for _, x := range []struct {
		f  *family
		at time.Time
	}{{&notBeforeFamily, c.NotBefore}, {&notAfterFamily, c.NotAfter}, {&nextTryFamily, c.Next}} {
		if !x.at.IsZero() {
			e.gauge(x.f, float64(x.at.UnixMilli())/1000, c.Secret, c.Issuer)
		}
	}
	e.gauge(&inARowFamily, float64(c.Failures), c.Secret, c.Issuer)
	e.count(&issuanceFamily, c.Issued, c.Secret, c.Issuer, "issued")
	e.count(&issuanceFamily, c.Failed, c.Secret, c.Issuer, "failed")
}
