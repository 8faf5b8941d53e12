package consumer_test

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/consumer"
)

// Digests that are alike where the directory looks first are told apart.
func TestAlikeDigests(t *testing.T) {
	digest := func(last byte) (d consumer.Digest) { d[31] = last; return d }
	var list []*ir.Consumer
	for i := range byte(6) {
		d := digest(i)
		list = append(list, &ir.Consumer{Namespace: "n", Name: fmt.Sprint(i), Credentials: []ir.ConsumerCredential{{Name: "key", KeyDigest: d[:]}}})
	}
	d := consumer.New()
	for _, present := range [][]int{{0, 1, 2, 3, 4, 5}, {1, 3, 5}, {0, 5}, {}, {2}} {
		var now []*ir.Consumer
		for _, i := range present {
			now = append(now, list[i])
		}
		d.Apply(now)
		want := map[int]bool{}
		for _, i := range present {
			want[i] = true
		}
		for i := range 7 {
			key := digest(byte(i))
			e := d.Key(key, "n", false)
			if (e != nil) != want[i] || e != nil && (e.Consumer != list[i] || !e.HasKey(&key)) {
				t.Errorf("of %v, %d is %v", present, i, e)
			}
			other := digest(99)
			if e != nil && e.HasKey(&other) {
				t.Errorf("%d has the key of another", i)
			}
		}
	}
}

// A name is no key, whatever is sent as one.
func TestNameIsNoKey(t *testing.T) {
	d := consumer.New()
	d.Apply([]*ir.Consumer{{Namespace: "n", Name: "a", Credentials: []ir.ConsumerCredential{{Name: "signing", KeyID: "id", Secret: []byte("secret")}}}})
	digest := ir.KeyIDDigest("id")
	if e := d.Key(digest, "n", false); e == nil || e.HasKey(&digest) {
		t.Errorf("%v", e)
	}
}

// A key of one of many, asked for in an order that no cache expects.
func BenchmarkKey(b *testing.B) {
	for _, many := range []int{1000, 100_000} {
		b.Run(fmt.Sprint(many), func(b *testing.B) {
			list := make([]*ir.Consumer, many)
			digests := make([]consumer.Digest, many)
			for i := range list {
				key := fmt.Sprintf("key %d", i)
				list[i], digests[i] = someone("n", fmt.Sprintf("c%06d", i), key), sha256.Sum256([]byte(key))
			}
			d := consumer.New()
			d.Apply(list)
			i := 0
			for b.Loop() {
				i = (i + 7919) % many
				if d.Key(digests[i], "n", false) == nil {
					b.Fatal("nobody has it")
				}
			}
		})
	}
}
