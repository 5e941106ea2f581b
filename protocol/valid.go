package protocol

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// valid says whether b is one JSON value (RFC 8259) in UTF-8, as json.Valid and
// utf8.Valid together do, in a quarter of the time (BenchmarkValid): every frame is
// asked. FuzzValid holds it to them.
func valid(b []byte) bool {
	const maxDepth = 10000 // that of encoding/json
	var open [64]byte      // the brackets that are open, '{' or '['; more are on the heap
	stack := open[:0]
	i := skipSpace(b, 0)
	for {
		// A value begins at i.
		if i >= len(b) {
			return false
		}
		switch c := b[i]; c {
		case '{', '[':
			if len(stack) == maxDepth {
				return false
			}
			stack = append(stack, c)
			if i = skipSpace(b, i+1); i >= len(b) {
				return false
			}
			switch {
			case b[i] == c+2: // '}' follows '{' at the same distance as ']' follows '['
			case c == '[':
				continue
			default:
				if i = validKey(b, i); i < 0 {
					return false
				}
				continue
			}
		default:
			if i = validScalar(b, i); i < 0 {
				return false
			}
			i = skipSpace(b, i)
		}
		// A value has ended, or b[i] closes an empty one.
		for {
			if len(stack) == 0 {
				return i == len(b)
			}
			if i >= len(b) {
				return false
			}
			inside := stack[len(stack)-1]
			if b[i] != inside+2 {
				break
			}
			stack = stack[:len(stack)-1]
			i = skipSpace(b, i+1)
		}
		if b[i] != ',' {
			return false
		}
		i = skipSpace(b, i+1)
		if stack[len(stack)-1] == '{' {
			if i = validKey(b, i); i < 0 {
				return false
			}
		}
	}
}

// validKey returns the index of the value behind a key and its colon; -1 when they
// are broken.
func validKey(b []byte, i int) int {
	if i >= len(b) || b[i] != '"' {
		return -1
	}
	if i = validString(b, i); i < 0 {
		return -1
	}
	if i = skipSpace(b, i); i >= len(b) || b[i] != ':' {
		return -1
	}
	return skipSpace(b, i+1)
}

// validScalar returns the index behind the string, number, true, false or null that
// begins at b[i]; -1 when it is none.
func validScalar(b []byte, i int) int {
	switch c := b[i]; {
	case c == '"':
		return validString(b, i)
	case c == '-' || c >= '0' && c <= '9':
		return validNumber(b, i)
	}
	for _, word := range [...]string{"true", "false", "null"} {
		if len(b)-i >= len(word) && string(b[i:i+len(word)]) == word {
			return i + len(word)
		}
	}
	return -1
}

func validString(b []byte, i int) int {
	ascii := true
	begin := i + 1
	for i = skipPlain(b, begin); i < len(b); i = skipPlain(b, i+1) {
		switch c := b[i]; {
		case c == '"':
			if !ascii && !utf8.Valid(b[begin:i]) {
				return -1
			}
			return i + 1
		case c == '\\':
			if i = validEscape(b, i); i < 0 {
				return -1
			}
		case c < ' ':
			return -1
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return -1
}

// skipPlain returns the index of the first byte from b[i] on that is not simply a
// part of a string: a quote, a backslash, a control character, or not ASCII. It looks
// at eight bytes at once ("Determine if a word has a byte less than n", Bit Twiddling
// Hacks, S. E. Anderson).
func skipPlain(b []byte, i int) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		quote, backslash := w^ones*'"', w^ones*'\\'
		special := (w-ones*' ')&^w | (quote-ones)&^quote | (backslash-ones)&^backslash | w
		if special &= tops; special != 0 {
			return i + bits.TrailingZeros64(special)/8
		}
	}
	for i < len(b) && b[i] >= ' ' && b[i] < utf8.RuneSelf && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}

// validEscape returns the index of the last byte of the escape that begins at
// b[i] == '\\'; -1 when it is none.
func validEscape(b []byte, i int) int {
	if i++; i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i
	case 'u':
		if len(b)-i < 5 {
			return -1
		}
		for _, c := range b[i+1 : i+5] {
			if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
				return -1
			}
		}
		return i + 4
	}
	return -1
}

func validNumber(b []byte, i int) int {
	if b[i] == '-' {
		i++
	}
	whole := i
	if i = skipDigits(b, i); i == whole || b[whole] == '0' && i > whole+1 {
		return -1
	}
	if i < len(b) && b[i] == '.' {
		part := i + 1
		if i = skipDigits(b, part); i == part {
			return -1
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		part := i
		if i = skipDigits(b, part); i == part {
			return -1
		}
	}
	return i
}

func skipDigits(b []byte, i int) int {
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	return i
}
