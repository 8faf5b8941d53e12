package h2

// SettingID is the number of a setting (RFC 9113 §6.5.2).
type SettingID uint16

const (
	SettingHeaderTableSize      SettingID = 0x1
	SettingEnablePush           SettingID = 0x2
	SettingMaxConcurrentStreams SettingID = 0x3
	SettingInitialWindowSize    SettingID = 0x4
	SettingMaxFrameSize         SettingID = 0x5
	SettingMaxHeaderListSize    SettingID = 0x6
	// SettingEnableConnectProtocol is of RFC 8441 §3.
	SettingEnableConnectProtocol SettingID = 0x8
	// SettingNoRFC7540Priorities is of RFC 9218 §2.1.
	SettingNoRFC7540Priorities SettingID = 0x9
)

// Setting is one setting with its value.
type Setting struct {
	ID    SettingID
	Value uint32
}

// Settings are those that apply to one direction.
type Settings struct {
	HeaderTableSize       uint32
	MaxConcurrentStreams  uint32 // math.MaxUint32 for no limit
	InitialWindowSize     uint32
	MaxFrameSize          uint32
	MaxHeaderListSize     uint32 // math.MaxUint32 for no limit
	EnableConnectProtocol bool
	NoRFC7540Priorities   bool
}

const (
	defaultWindow = 65535
	unlimited     = 1<<32 - 1
)

// initialSettings apply before any have come (RFC 9113 §6.5.2).
var initialSettings = Settings{
	HeaderTableSize: 4096, MaxConcurrentStreams: unlimited, InitialWindowSize: defaultWindow,
	MaxFrameSize: minMaxFrame, MaxHeaderListSize: unlimited,
}

// set takes one setting over. Unknown ones are ignored (§6.5.2). first is true
// for the SETTINGS frame that a connection starts with.
func (s *Settings) set(id SettingID, v uint32, fromServer, first bool) *Error {
	switch id {
	case SettingHeaderTableSize:
		s.HeaderTableSize = v
	case SettingEnablePush:
		if v > 1 || v == 1 && fromServer {
			return errSetting
		}
	case SettingMaxConcurrentStreams:
		s.MaxConcurrentStreams = v
	case SettingInitialWindowSize:
		if v > maxWindow {
			return errWindowSetting
		}
		s.InitialWindowSize = v
	case SettingMaxFrameSize:
		if v < minMaxFrame || v > 1<<24-1 {
			return errSetting
		}
		s.MaxFrameSize = v
	case SettingMaxHeaderListSize:
		s.MaxHeaderListSize = v
	case SettingEnableConnectProtocol:
		// RFC 8441 §3: it must not be taken back.
		if v > 1 || v == 0 && s.EnableConnectProtocol {
			return errSetting
		}
		s.EnableConnectProtocol = v == 1
	case SettingNoRFC7540Priorities:
		if v > 1 || !first && (v == 1) != s.NoRFC7540Priorities {
			return errSetting
		}
		s.NoRFC7540Priorities = v == 1
	}
	return nil
}
