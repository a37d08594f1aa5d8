package runtime

// scanHead decodes the heads that shims write nearly always, without what
// decoding JSON in general costs in every request:
//
//	{"status":200,"headers":{"content-type":["text/plain"]},"cookies":["a=b"]}
//
// with plain ASCII strings that need no escape, no white space, and status first.
// It says false for everything else, which may be a valid head all the same.
func scanHead(b []byte, h *Head) bool {
	s := scanner{b: b}
	if !s.word(`{"status":`) || !s.status(&h.Status) {
		return false
	}
	if s.word(`,"headers":{`) && !s.headers(h) {
		return false
	}
	if s.word(`,"cookies":[`) {
		if h.Cookies, _ = s.strings(); h.Cookies == nil {
			return false
		}
	}
	return s.word("}") && len(s.b) == 0
}

// scanner consumes its text from the front.
type scanner struct{ b []byte }

// word consumes w, if that comes next.
func (s *scanner) word(w string) bool {
	if len(s.b) < len(w) || string(s.b[:len(w)]) != w {
		return false
	}
	s.b = s.b[len(w):]
	return true
}

// status consumes a number of three digits.
func (s *scanner) status(to *int) bool {
	if len(s.b) < 4 || s.b[0] == '0' {
		return false
	}
	n := 0
	for _, c := range s.b[:3] {
		if c < '0' || c > '9' {
			return false
		}
		n = 10*n + int(c-'0')
	}
	if c := s.b[3]; c != ',' && c != '}' {
		return false
	}
	*to, s.b = n, s.b[3:]
	return true
}

// headers consumes name and values of each header, and the closing brace.
func (s *scanner) headers(h *Head) bool {
	h.Headers = make(map[string][]string, 4)
	for first := true; ; first = false {
		if !first {
			if s.word("}") {
				return true
			}
			if !s.word(",") {
				return false
			}
		}
		name, ok := s.string()
		if !ok || !s.word(":[") {
			return false
		}
		values, ok := s.strings()
		if !ok {
			return false
		}
		if _, twice := h.Headers[name]; twice {
			return false
		}
		h.Headers[name] = values
	}
}

// strings consumes one string or more and the closing bracket.
func (s *scanner) strings() ([]string, bool) {
	list := make([]string, 0, 1)
	for {
		text, ok := s.string()
		if !ok {
			return nil, false
		}
		list = append(list, text)
		if s.word("]") {
			return list, true
		}
		if !s.word(",") {
			return nil, false
		}
	}
}

// string consumes a string of printable ASCII without escapes.
func (s *scanner) string() (string, bool) {
	if !s.word(`"`) {
		return "", false
	}
	for i, c := range s.b {
		switch {
		case c == '"':
			text := string(s.b[:i])
			s.b = s.b[i+1:]
			return text, true
		case c < 0x20 || c >= 0x7f || c == '\\':
			return "", false
		}
	}
	return "", false
}
