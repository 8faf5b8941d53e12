package h3

// Settings are what a side says of itself (RFC 9114 §7.2.4.1).
type Settings struct {
	// MaxFieldSection bounds the heads that it wants; 0 is no bound.
	MaxFieldSection uint64
	// ExtendedConnect lets clients use :protocol (RFC 9220 §3).
	ExtendedConnect bool
}

const (
	settingMaxFieldSection = 0x6
	settingExtendedConnect = 0x8
	maxSettingsBytes       = 4 << 10
)

// formerHTTP2Setting tells whether a number was HTTP/2's (RFC 9114 §7.2.4.1).
func formerHTTP2Setting(id uint64) bool { return id >= 2 && id <= 5 }

// AppendSettings appends a SETTINGS frame. QPACK's are left at zero: no dynamic table.
func AppendSettings(dst []byte, s Settings) []byte {
	var room [16]byte
	p := room[:0]
	if s.MaxFieldSection > 0 {
		p = AppendVarint(AppendVarint(p, settingMaxFieldSection), s.MaxFieldSection)
	}
	if s.ExtendedConnect {
		p = AppendVarint(AppendVarint(p, settingExtendedConnect), 1)
	}
	return append(AppendFrameHeader(dst, FrameSettings, len(p)), p...)
}

// parseSettings reads a payload.
func parseSettings(b []byte) (s Settings, bad *Error) {
	seen := map[uint64]struct{}{}
	for len(b) > 0 {
		id, n := ReadVarint(b)
		v, m := ReadVarint(b[n:])
		if n == 0 || m == 0 {
			return s, errFrameSize
		}
		b = b[n+m:]
		if _, again := seen[id]; again || formerHTTP2Setting(id) {
			return s, errSettings
		}
		seen[id] = struct{}{}
		switch {
		case id == settingMaxFieldSection:
			s.MaxFieldSection = v
		case id == settingExtendedConnect && v > 1: // RFC 8441 §3
			return s, errSettings
		case id == settingExtendedConnect:
			s.ExtendedConnect = v == 1
		}
	}
	return s, nil
}
