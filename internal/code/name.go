package code

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/covefn/cove"
)

// cleanName is the path of an entry as it is kept: relative, with '/' between
// its parts and without "." among them. It is "" for the root itself. What is
// no plain path within the package is refused.
func (l Limits) cleanName(name string) (string, *cove.Error) {
	switch {
	case !utf8.ValidString(name):
		return "", invalid("the entry %q has a name that is not UTF-8: pack the files again with UTF-8 names", name)
	case strings.ContainsFunc(name, unicode.IsControl):
		return "", invalid("the entry %q has a control character in its name", name)
	case strings.Contains(name, `\`):
		return "", invalid(`the entry %q has a backslash in its name: use "/" between directories`, name)
	case strings.HasPrefix(name, "/"):
		return "", invalid("the entry %q has an absolute path: only paths within the package are allowed", name)
	case len(name) >= 2 && name[1] == ':' && (name[0]|0x20) >= 'a' && (name[0]|0x20) <= 'z':
		return "", invalid("the entry %q begins with a drive letter: only paths within the package are allowed", name)
	case len(name) > l.Path:
		return "", invalid("the path %q… is %d bytes long; the limit is %d", prefix(name, 60), len(name), l.Path)
	}
	parts := make([]string, 0, 8)
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "" || part == ".":
			continue
		case part == "..":
			return "", invalid(`the entry %q has ".." in its path: only paths within the package are allowed`, name)
		case len(part) > 255:
			return "", invalid("the entry %q… has a name of %d bytes; the limit is 255", prefix(name, 60), len(part))
		}
		parts = append(parts, part)
	}
	if len(parts) > l.Depth+1 {
		return "", invalid("the entry %q… lies %d directories deep; the limit is %d", prefix(name, 60), len(parts)-1, l.Depth)
	}
	return strings.Join(parts, "/"), nil
}

// prefix is the first n bytes of s or a little less, never half a character.
func prefix(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
