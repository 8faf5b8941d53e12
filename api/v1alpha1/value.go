package v1alpha1

import (
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/intstr"
)

// HundredthsOfPercent reads a percentage as FaultDelay.Percent takes it: a whole number
// (5 is five percent) or a string with a percent sign and up to two decimals
// ("0.25%"). The result is in hundredths of a percent: 10000 is all.
func HundredthsOfPercent(p intstr.IntOrString) (int, error) {
	if p.Type == intstr.Int {
		if p.IntVal < 0 || p.IntVal > 100 {
			return 0, fmt.Errorf("%d is not between 0 and 100", p.IntVal)
		}
		return int(p.IntVal) * 100, nil
	}
	number, ok := strings.CutSuffix(p.StrVal, "%")
	whole, decimals, hasDecimals := strings.Cut(number, ".")
	if !ok || whole == "" || len(whole) > 3 || len(decimals) > 2 || hasDecimals && decimals == "" {
		return 0, fmt.Errorf("%q is not a percentage such as 0.25%%", p.StrVal)
	}
	n, err := strconv.ParseUint(whole+(decimals + "00")[:2], 10, 32)
	if err != nil || n > 10000 {
		return 0, fmt.Errorf("%q is not a percentage between 0%% and 100%%", p.StrVal)
	}
	return int(n), nil
}

// StatusCodes reads a status or a range of them, as HTTPHealthCheck.Statuses
// takes it: 200, "200" or "200-299". Both ends are inclusive.
func StatusCodes(v intstr.IntOrString) (from, to int, err error) {
	low, high, isRange := strings.Cut(v.String(), "-")
	if !isRange {
		high = low
	}
	from, err = strconv.Atoi(low)
	if err == nil {
		to, err = strconv.Atoi(high)
	}
	if err != nil || from < 100 || to > 599 || from > to {
		return 0, 0, fmt.Errorf("%q is not a status code or a range such as 200-299", v.String())
	}
	return from, to, nil
}

// MillionthsOfAll reads a rate of sampling as TraceSampling.Rate takes it: a whole number
// of percent, or a string with a percent sign and up to four decimals ("0.05%"). All is
// 1000000.
func MillionthsOfAll(p intstr.IntOrString) (int, error) {
	if p.Type == intstr.Int {
		if p.IntVal < 0 || p.IntVal > 100 {
			return 0, fmt.Errorf("%d is not between 0 and 100", p.IntVal)
		}
		return int(p.IntVal) * 10_000, nil
	}
	number, ok := strings.CutSuffix(p.StrVal, "%")
	whole, decimals, hasDecimals := strings.Cut(number, ".")
	if !ok || whole == "" || len(whole) > 3 || len(decimals) > 4 || hasDecimals && decimals == "" {
		return 0, fmt.Errorf("%q is not a percentage such as 0.05%%", p.StrVal)
	}
	n, err := strconv.ParseUint(whole+(decimals + "0000")[:4], 10, 32)
	if err != nil || n > 1_000_000 {
		return 0, fmt.Errorf("%q is not a percentage between 0%% and 100%%", p.StrVal)
	}
	return int(n), nil
}
