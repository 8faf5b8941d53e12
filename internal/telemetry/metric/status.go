package metric

import "strconv"

// Statuses are counted by code where the code is registered with IANA, and
// otherwise by class, so that an upstream cannot invent series.
const (
	slotNone  = 0 // no response was sent
	slotOther = 1 // slotOther+0 … slotOther+4: unregistered codes of 1xx … 5xx
	slotExact = 6
)

var exactCodes = [...]int{
	100, 101, 102, 103,
	200, 201, 202, 203, 204, 205, 206, 207, 208, 226,
	300, 301, 302, 303, 304, 305, 307, 308,
	400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418,
	421, 422, 423, 424, 425, 426, 428, 429, 431, 451,
	500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511,
}

const slots = slotExact + len(exactCodes)

var slotOf = func() (t [600]uint8) {
	for code := 100; code < len(t); code++ {
		t[code] = uint8(slotOther + code/100 - 1)
	}
	for i, code := range exactCodes {
		t[code] = uint8(slotExact + i)
	}
	return t
}()

// slotLabels are the code and code_class labels of each slot.
var slotLabels = func() (t [slots][2]string) {
	t[slotNone] = [2]string{"none", "none"}
	for i := range 5 {
		t[slotOther+i] = [2]string{"other", strconv.Itoa(i+1) + "xx"}
	}
	for i, code := range exactCodes {
		t[slotExact+i] = [2]string{strconv.Itoa(code), strconv.Itoa(code/100) + "xx"}
	}
	return t
}()

func slot(status int) int {
	if uint(status) < uint(len(slotOf)) {
		return int(slotOf[status])
	}
	return slotNone
}

// classOf returns 0 for no response and else the first digit of the status.
func classOf(slot int) int {
	switch {
	case slot == slotNone:
		return 0
	case slot < slotExact:
		return slot - slotOther + 1
	}
	return exactCodes[slot-slotExact] / 100
}
