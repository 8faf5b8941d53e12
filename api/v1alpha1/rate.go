package v1alpha1

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	maxRateUnits = 1_000_000_000
	// maxPerSecond keeps what rounding to nanoseconds does to a rate below 0.1 %.
	maxPerSecond = 1_000_000

	minBandwidth = 1000
	maxBandwidth = 100_000_000_000
)

// ParseRate reads a rate as RateLimit.Rate takes it: "100/s", "5/10s".
func ParseRate(s string) (units int64, period time.Duration, err error) {
	number, per, ok := strings.Cut(s, "/")
	units, numberOK := wholeNumber(number, maxRateUnits)
	if !ok || !numberOK || per == "" {
		return 0, 0, fmt.Errorf("%q is not a rate such as 100/s, 5/10s, 6000/m or 10/h", s)
	}
	unit, known := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[per[len(per)-1]]
	count, countOK := int64(1), true
	if len(per) > 1 {
		count, countOK = wholeNumber(per[:len(per)-1], 9999)
	}
	if !known || !countOK {
		return 0, 0, fmt.Errorf("%q is not a rate: the time must be s, m, h or d, with a number from 1 to 9999 or none before it", s)
	}
	period = time.Duration(count) * unit
	if units > int64(period/time.Second)*maxPerSecond {
		return 0, 0, fmt.Errorf("%q is more than %d a second", s, maxPerSecond)
	}
	return units, period, nil
}

// ParseBandwidth reads bytes per second as RateLimitBandwidth takes them:
// "500KB/s", "10MiB/s".
func ParseBandwidth(s string) (bytesPerSecond int64, err error) {
	return parseByteRate(s, minBandwidth, "1KB/s")
}

// ParseBodyRate reads bytes per second as MinBodyRate takes them: "500B/s".
func ParseBodyRate(s string) (bytesPerSecond int64, err error) { return parseByteRate(s, 1, "1B/s") }

func parseByteRate(s string, least int64, leastText string) (bytesPerSecond int64, err error) {
	amount, ok := strings.CutSuffix(s, "B/s")
	factor := int64(1)
	for _, u := range []struct {
		name  string
		bytes int64
	}{{"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30}, {"K", 1e3}, {"M", 1e6}, {"G", 1e9}} {
		if number, is := strings.CutSuffix(amount, u.name); is {
			amount, factor = number, u.bytes
			break
		}
	}
	n, numberOK := wholeNumber(amount, maxBandwidth)
	if !ok || !numberOK {
		return 0, fmt.Errorf("%q is not a number of bytes in a second such as 500KB/s or 10MiB/s", s)
	}
	if n > maxBandwidth/factor || n*factor < least {
		return 0, fmt.Errorf("%q is not between %s and 100GB/s", s, leastText)
	}
	return n * factor, nil
}

// wholeNumber reads digits without a leading zero, from 1 to most.
func wholeNumber(s string, most int64) (int64, bool) {
	if s == "" || len(s) > 12 || s[0] < '1' || s[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err == nil && int64(n) <= most
}
