package accesslog

import (
	"strconv"
	"time"
)

// digits appends n, mostly a small number.
func digits(b []byte, n int64) []byte {
	switch {
	case 0 <= n && n < 10:
		return append(b, byte('0'+n))
	case 100 <= n && n < 1000:
		return threeDigits(b, uint32(n))
	case 1000 <= n && n < 10000:
		return threeDigits(append(b, byte('0'+n/1000)), uint32(n%1000))
	}
	return strconv.AppendInt(b, n, 10)
}

// threeDigits appends n, which is less than 1000, with the zeros before it.
func threeDigits(b []byte, n uint32) []byte {
	return append(b, byte('0'+n/100), byte('0'+n/10%10), byte('0'+n%10))
}

// millis appends milliseconds with three decimals: microseconds.
func millis(b []byte, d time.Duration) []byte {
	us := uint32(min(max(d, 0), time.Hour) / time.Microsecond)
	if d > time.Hour {
		b = strconv.AppendInt(b, d.Microseconds()/1000, 10)
		us = uint32(d.Microseconds() % 1000)
	} else {
		b = digits(b, int64(us/1000))
		us %= 1000
	}
	return threeDigits(append(b, '.'), us)
}
