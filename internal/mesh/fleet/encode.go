package fleet

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
)

// maxReport bounds a report as it is read, in bytes of JSON.
const maxReport = 64 << 20

// encode makes text of a report, for a state store.
func encode(r *Report) (string, error) {
	var out bytes.Buffer
	to := base64.NewEncoder(base64.StdEncoding, &out)
	packed := gzip.NewWriter(to)
	if err := json.NewEncoder(packed).Encode(r); err != nil {
		return "", err
	}
	if err := packed.Close(); err != nil {
		return "", err
	}
	if err := to.Close(); err != nil {
		return "", err
	}
	return out.String(), nil
}

func decode(text string) (*Report, error) {
	unpacked, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, bytes.NewReader([]byte(text))))
	if err != nil {
		return nil, fmt.Errorf("a control plane's report: %w", err)
	}
	limited := &io.LimitedReader{R: unpacked, N: maxReport + 1}
	var r Report
	err = json.NewDecoder(limited).Decode(&r)
	switch {
	case limited.N <= 0:
		return nil, fmt.Errorf("a control plane's report is of more than %d MiB", maxReport>>20)
	case err != nil:
		return nil, fmt.Errorf("a control plane's report: %w", err)
	}
	for _, p := range r.Proxies {
		if p == nil {
			return nil, fmt.Errorf("a control plane's report has a proxy that is nothing")
		}
	}
	for name, reach := range r.Objects {
		if reach == nil {
			return nil, fmt.Errorf("a control plane's report says nothing of %s", name)
		}
	}
	return &r, nil
}
