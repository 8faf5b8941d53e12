package v1alpha1_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/gridway/gridway/api/v1alpha1"
)

func TestHundredthsOfPercent(t *testing.T) {
	for _, tc := range []struct {
		in   intstr.IntOrString
		want int // -1 for an error
	}{
		{intstr.FromInt32(0), 0},
		{intstr.FromInt32(5), 500},
		{intstr.FromInt32(100), 10000},
		{intstr.FromInt32(101), -1},
		{intstr.FromInt32(-1), -1},
		{intstr.FromString("0.25%"), 25},
		{intstr.FromString("0.5%"), 50},
		{intstr.FromString("12%"), 1200},
		{intstr.FromString("100%"), 10000},
		{intstr.FromString("100.00%"), 10000},
		{intstr.FromString("100.01%"), -1},
		{intstr.FromString("0.255%"), -1},
		{intstr.FromString("5"), -1},
		{intstr.FromString("%"), -1},
		{intstr.FromString("1.%"), -1},
		{intstr.FromString("-1%"), -1},
		{intstr.FromString("+1%"), -1},
		{intstr.FromString(""), -1},
	} {
		got, err := v1alpha1.HundredthsOfPercent(tc.in)
		if err != nil {
			got = -1
		}
		if got != tc.want {
			t.Errorf("HundredthsOfPercent(%v) = %d (%v), want %d", tc.in.String(), got, err, tc.want)
		}
	}
}

func TestMillionthsOfAll(t *testing.T) {
	for _, tc := range []struct {
		in   intstr.IntOrString
		want int // -1 for an error
	}{
		{intstr.FromInt32(0), 0},
		{intstr.FromInt32(5), 50_000},
		{intstr.FromInt32(100), 1_000_000},
		{intstr.FromInt32(101), -1},
		{intstr.FromString("0.0001%"), 1},
		{intstr.FromString("0.05%"), 500},
		{intstr.FromString("100.0000%"), 1_000_000},
		{intstr.FromString("100.0001%"), -1},
		{intstr.FromString("0.00001%"), -1},
		{intstr.FromString("5"), -1},
		{intstr.FromString("1.%"), -1},
		{intstr.FromString(""), -1},
	} {
		got, err := v1alpha1.MillionthsOfAll(tc.in)
		if err != nil {
			got = -1
		}
		if got != tc.want {
			t.Errorf("MillionthsOfAll(%v) = %d (%v), want %d", tc.in.String(), got, err, tc.want)
		}
	}
}

func TestStatusCodes(t *testing.T) {
	for _, tc := range []struct {
		in       intstr.IntOrString
		from, to int // zero for an error
	}{
		{intstr.FromInt32(204), 204, 204},
		{intstr.FromString("200"), 200, 200},
		{intstr.FromString("200-299"), 200, 299},
		{intstr.FromString("299-200"), 0, 0},
		{intstr.FromString("99"), 0, 0},
		{intstr.FromString("200-600"), 0, 0},
		{intstr.FromString("ok"), 0, 0},
		{intstr.FromString("200-"), 0, 0},
	} {
		from, to, err := v1alpha1.StatusCodes(tc.in)
		if from != tc.from || to != tc.to || (err != nil) != (tc.from == 0) {
			t.Errorf("StatusCodes(%v) = %d, %d, %v; want %d, %d", tc.in.String(), from, to, err, tc.from, tc.to)
		}
	}
}
