package logs

import (
	"io"
	"testing"
)

// BenchmarkEnd is what the log costs a warm call: the segment, and reading what is
// there, with nothing printed and with a line on each stream.
func BenchmarkEnd(b *testing.B) {
	for name, prints := range map[string]bool{"quiet": false, "printing": true} {
		b.Run(name, func(b *testing.B) {
			_, s, sandbox := socket(b)
			for b.Loop() {
				g := s.Begin("r")
				if prints {
					_, _ = io.WriteString(sandbox, "a line\n")
					_, _ = io.WriteString(sandbox.stderr, "another\n")
				}
				g.End()
			}
		})
	}
}
