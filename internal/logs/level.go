package logs

import (
	"strconv"
	"strings"
)

// The levels of lines, from the least.
const (
	LevelDebug = "debug"
	LevelInfo  = "info"
	LevelWarn  = "warn"
	LevelError = "error"
)

// LevelRank orders levels: 0 for "" and what is none, 4 for LevelError.
func LevelRank(level string) int {
	switch level {
	case LevelDebug:
		return 1
	case LevelInfo:
		return 2
	case LevelWarn:
		return 3
	case LevelError:
		return 4
	}
	return 0
}

// LevelOf is the level of a line: that of a JSON object with a member level,
// severity, lvl, levelname or log.level, as the usual libraries of structured
// logs write it, or the one in brackets at the beginning, as Lambda's runtimes
// and Cove's shims do ("[ERROR] ..."); "" if there is none. It is one pass over
// the text and allocates nothing.
func LevelOf(text string) string {
	text = strings.TrimLeft(text, " \t")
	if text == "" {
		return ""
	}
	switch text[0] {
	case '{':
		return levelOfObject(text)
	case '[':
		if end := strings.IndexByte(text[:min(len(text), 12)], ']'); end > 0 {
			return levelNamed(text[1:end])
		}
	}
	return ""
}

// levelNamed reads the names that libraries give to levels.
func levelNamed(name string) string {
	switch {
	case anyFold(name, "error", "err", "critical", "crit", "fatal", "alert", "emerg", "emergency", "panic", "dpanic"):
		return LevelError
	case anyFold(name, "warn", "warning"):
		return LevelWarn
	case anyFold(name, "info", "information", "notice", "default"):
		return LevelInfo
	case anyFold(name, "debug", "trace", "verbose", "silly"):
		return LevelDebug
	}
	return ""
}

func anyFold(name string, of ...string) bool {
	for _, s := range of {
		if strings.EqualFold(name, s) {
			return true
		}
	}
	return false
}

// levelNumbered reads the numbers of pino and bunyan: 10 trace, 20 debug, 30 info,
// 40 warn, 50 error, 60 fatal. (Those of Python's logging, where 40 is an error,
// cannot be told from them; its JSON formatters write names.)
func levelNumbered(text string) string {
	n, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil || n < 10 || n > 100:
		return ""
	case n < 30:
		return LevelDebug
	case n < 40:
		return LevelInfo
	case n < 50:
		return LevelWarn
	default:
		return LevelError
	}
}

// levelOfObject looks for a level among the members of the object that s begins
// with. It does not check that s is JSON: what is none has no level, or the one
// that stands where a level would.
func levelOfObject(s string) string {
	i := 1
	for {
		i = skipSpace(s, i)
		if i >= len(s) || s[i] != '"' {
			return ""
		}
		end := stringEnd(s, i)
		if end < 0 {
			return ""
		}
		key := s[i+1 : end]
		if i = skipSpace(s, end+1); i >= len(s) || s[i] != ':' {
			return ""
		}
		i = skipSpace(s, i+1)
		end = valueEnd(s, i)
		if end < 0 {
			return ""
		}
		if isLevelKey(key) {
			if level := levelOfValue(s[i:end]); level != "" {
				return level
			}
		}
		if i = skipSpace(s, end); i >= len(s) || s[i] != ',' {
			return ""
		}
		i++
	}
}

func isLevelKey(key string) bool {
	return len(key) <= len("log.level") && anyFold(key, "level", "severity", "lvl", "levelname", "log.level")
}

func levelOfValue(value string) string {
	value = strings.TrimRight(value, " \t\r\n")
	if len(value) > 1 && value[0] == '"' {
		return levelNamed(value[1 : len(value)-1])
	}
	return levelNumbered(value)
}

func skipSpace(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r') {
		i++
	}
	return i
}

// stringEnd is where the closing quote of the string that begins at i is, -1
// without one.
func stringEnd(s string, i int) int {
	for i++; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// valueEnd is where what follows the value at i begins, -1 if it has no end.
func valueEnd(s string, i int) int {
	depth := 0
	for ; i < len(s); i++ {
		switch s[i] {
		case '"':
			if i = stringEnd(s, i); i < 0 {
				return -1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
	return -1
}
