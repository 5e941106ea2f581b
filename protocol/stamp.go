package protocol

import (
	"fmt"
	"strconv"
	"strings"
)

// Stamp is "<hybrid logical time>@<client id>": 12 hex digits of Unix
// milliseconds, 4 of a counter, an at sign and the id of the client that wrote.
// Stamps order as ASCII strings, which is why the time has a fixed width.
type Stamp string

const timeLen = 16

// MakeStamp joins a time, as CheckTime accepts it, and a client id.
func MakeStamp(at, client string) Stamp { return Stamp(at + "@" + client) }

// Time is the stamp's hybrid logical time.
func (s Stamp) Time() string {
	at, _, _ := strings.Cut(string(s), "@")
	return at
}

// CheckTime says whether at is a hybrid logical time: 16 lower-case hex digits.
func CheckTime(at string) error {
	if len(at) != timeLen {
		return fmt.Errorf("time %.32q: want %d hex digits", at, timeLen)
	}
	for i := range len(at) {
		if c := at[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return fmt.Errorf("time %q: want lower-case hex digits", at)
		}
	}
	return nil
}

// TimeMillis is the wall-clock part of a time that CheckTime accepts.
func TimeMillis(at string) int64 {
	ms, err := strconv.ParseInt(at[:12], 16, 64)
	if err != nil {
		return 0
	}
	return ms
}

// FormatTime makes a hybrid logical time of Unix milliseconds and a counter.
func FormatTime(ms int64, counter uint16) string {
	return fmt.Sprintf("%012x%04x", uint64(ms)&0xffffffffffff, counter)
}

// ClampTime sets a time that is more than 60 s ahead of nowMillis back to 60 s
// ahead, keeping its counter (rule M2): one wrong clock must not win for ever.
func ClampTime(at string, nowMillis int64) string {
	limit := nowMillis + 60_000
	if TimeMillis(at) <= limit {
		return at
	}
	return fmt.Sprintf("%012x%s", uint64(limit)&0xffffffffffff, at[12:])
}

// TimeCounter is the counter of a time that CheckTime accepts.
func TimeCounter(at string) uint16 {
	counter, err := strconv.ParseUint(at[12:], 16, 16)
	if err != nil {
		return 0
	}
	return uint16(counter)
}
