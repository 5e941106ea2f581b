package limit

import (
	"fmt"
	"strconv"
	"strings"
)

// String is the rate as UnmarshalText reads it: "200:2000", or "off".
func (r Rate) String() string {
	if r.off() {
		return "off"
	}
	return strconv.Itoa(r.PerSecond) + ":" + strconv.Itoa(r.Burst)
}

// UnmarshalText reads "200:2000" (per second, and burst), "200" (the burst in the
// proportion of the default), or "off". Amounts may have a unit: 1MB:8MB.
func (r *Rate) UnmarshalText(text []byte) error {
	if string(text) == "off" {
		*r = Rate{PerSecond: -1}
		return nil
	}
	perSecond, burst, two := strings.Cut(string(text), ":")
	var out Rate
	var err error
	if out.PerSecond, err = parseAmount(perSecond); err == nil && two {
		out.Burst, err = parseAmount(burst)
	}
	if err != nil {
		return fmt.Errorf("%q: must be an amount per second and a burst, such as 200:2000 or 1MB:8MB, or off", text)
	}
	*r = out
	return nil
}

// A Size is a number of bytes.
type Size int

// String is the size in bytes.
func (s Size) String() string { return strconv.Itoa(int(s)) }

// UnmarshalText reads 5000000, 512KiB, 3MiB or 5MB.
func (s *Size) UnmarshalText(text []byte) error {
	n, err := parseAmount(string(text))
	if err != nil {
		return fmt.Errorf("%q: must be a size such as 3MiB", text)
	}
	*s = Size(n)
	return nil
}

// parseAmount reads a whole number from 1 to maxPerSecond, with or without a
// unit of bytes.
func parseAmount(s string) (int, error) {
	digits := strings.TrimRight(s, "BKMikm")
	unit := map[string]int{"": 1, "B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "KiB": 1 << 10, "MiB": 1 << 20}[s[len(digits):]]
	n, err := strconv.Atoi(digits)
	if err != nil || unit == 0 || n < 1 || n > maxPerSecond/unit {
		return 0, fmt.Errorf("%q: must be from 1 to %d", s, maxPerSecond)
	}
	return n * unit, nil
}
