package load

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"sync/atomic"
	"time"
)

// SigningKeyID and SigningKey are what requests are signed with; there is nothing that
// they protect.
const (
	SigningKeyID = "bench"
	SigningKey   = "a-key-of-the-benchmark-in-32-bytes"
)

// nonces are used once: a signature that was seen before is refused.
var nonces atomic.Int64

// appendSignature signs what a client of an API would (RFC 9421 §2.5, §3.3.3).
func (t *Target) appendSignature(b []byte) []byte {
	params := fmt.Sprintf(`("@method" "@authority" "@path");created=%d;keyid=%q;alg="hmac-sha256";nonce="%d"`, time.Now().Unix(), SigningKeyID, nonces.Add(1))
	mac := hmac.New(sha256.New, []byte(SigningKey))
	fmt.Fprintf(mac, "\"@method\": %s\n\"@authority\": %s\n\"@path\": %s\n\"@signature-params\": %s", t.method(), t.Addr, t.Path, params)
	return fmt.Appendf(b, "Signature-Input: sig1=%s\r\nSignature: sig1=:%s:\r\n", params, base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}
