package distrib_test

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/distrib"
)

// filler gives every field of a value something that no other field has.
type filler struct{ n int64 }

func (f *filler) fill(v reflect.Value) {
	f.n++
	switch v.Type() {
	case reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Unix(f.n, 5000).UTC()))
		return
	case reflect.TypeFor[netip.Addr]():
		v.Set(reflect.ValueOf(netip.AddrFrom4([4]byte{10, byte(f.n >> 16), byte(f.n >> 8), byte(f.n)})))
		return
	case reflect.TypeFor[netip.AddrPort]():
		v.Set(reflect.ValueOf(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(f.n >> 16), byte(f.n >> 8), byte(f.n)}), uint16(f.n))))
		return
	case reflect.TypeFor[netip.Prefix]():
		v.Set(reflect.ValueOf(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(f.n >> 16), byte(f.n >> 8), byte(f.n)}), 32)))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(f.n % 100)
		if v.Int() == 0 {
			v.SetInt(1)
		}
	case reflect.Uint, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(f.n))
	case reflect.Uint8:
		v.SetUint(uint64(1 + f.n%200))
	case reflect.Float64:
		v.SetFloat(float64(f.n))
	case reflect.String:
		v.SetString(fmt.Sprintf("<text & %05d>\u2028\"", f.n))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		f.fill(v.Index(0))
		f.fill(v.Index(1))
	case reflect.Array:
		for i := range v.Len() {
			f.fill(v.Index(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			f.fill(v.Field(i))
		}
	default:
		panic("a field of " + v.Type().String())
	}
}

// Every field of the IR reaches proxies, also one that is new, or left out elsewhere.
func TestEveryFieldIsSent(t *testing.T) {
	want := &ir.Config{}
	new(filler).fill(reflect.ValueOf(want).Elem())
	want.Revision = 0
	for _, c := range want.Consumers {
		c.GroupList = strings.Join(c.Groups, ",")
	}
	// What rules share comes back shared; here one of two rules does.
	want.Routes[0].Rules[1].Policy.Authorization = want.Authorizations
	want.Routes[0].Rules[1].Policy.RateLimits = want.RateLimits[1:]
	list, err := distrib.Split(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := distrib.Join(list)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}, netip.Prefix{})); diff != "" {
		t.Errorf("not what was sent (-want +got):\n%s", diff)
	}
	policy := got.Routes[0].Rules[1].Policy
	if policy.Authorization[1] != got.Authorizations[1] || policy.RateLimits[0] != got.RateLimits[1] {
		t.Error("what rules share is not shared any more")
	}
	for _, r := range list {
		if len(r.Objects) == 0 && r.Kind != distrib.KindPolicies && r.Kind != distrib.KindSchema {
			t.Errorf("nobody knows which object %s %s is of", r.Kind, r.Name)
		}
	}
}
