package auth

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// parseCount reads a whole number above zero.
func parseCount(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%q: must be a whole number above 0", s)
	}
	return n, nil
}

// parseBytes reads a size such as 500000, 512KiB, 8MiB or 1GB.
func parseBytes(s string) (int, error) {
	digits := strings.TrimRight(s, "BGKMTikm")
	unit := map[string]int{
		"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9,
	}[s[len(digits):]]
	n, err := strconv.Atoi(digits)
	if err != nil || n < 1 || unit == 0 || n > math.MaxInt/unit {
		return 0, fmt.Errorf("%q: must be a size such as 8MiB", s)
	}
	return n * unit, nil
}

// parseAge reads a duration of Go, or whole days such as 7d.
func parseAge(s string) (time.Duration, error) {
	const day = 24 * time.Hour
	err := errors.New("must be a time such as 90m, 24h or 7d")
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, bad := strconv.Atoi(days)
		if bad != nil || n < 1 || n > int(math.MaxInt64/day) {
			return 0, fmt.Errorf("%q: %w", s, err)
		}
		return time.Duration(n) * day, nil
	}
	d, bad := time.ParseDuration(s)
	if bad != nil || d <= 0 {
		return 0, fmt.Errorf("%q: %w", s, err)
	}
	return d, nil
}

func parseDurability(s string) (string, error) {
	switch s {
	case "memory", "os", "disk":
		return s, nil
	default:
		return "", fmt.Errorf("%q: must be memory, os or disk", s)
	}
}

// hint says which key was meant, or which ones there are.
func hint(key string, known []string) string {
	for _, k := range known {
		if distance(strings.ToLower(key), strings.ToLower(k)) <= 2 {
			return fmt.Sprintf("did you mean %s?", k)
		}
	}
	return "possible are " + listed(known)
}

func listed(names []string) string { return strings.Join(names, ", ") }

// distance is the Levenshtein distance in bytes, 99 for words that differ much
// in length.
func distance(a, b string) int {
	if len(a) > len(b)+2 || len(b) > len(a)+2 {
		return 99
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
