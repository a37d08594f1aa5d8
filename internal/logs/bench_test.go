package logs

import (
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"
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

// BenchmarkAdd is what a printed line costs in the book, where one function or 64
// print at once.
func BenchmarkAdd(b *testing.B) {
	for _, functions := range []int64{1, 64} {
		b.Run(fmt.Sprintf("functions=%d", functions), func(b *testing.B) {
			book := NewBook()
			names := make([]string, functions)
			for i := range names {
				names[i] = fmt.Sprint(i)
			}
			var printers atomic.Int64
			b.RunParallel(func(p *testing.PB) {
				l := Line{Time: time.Now(), Text: "a line"}
				for n := 17 * printers.Add(1); p.Next(); n++ {
					l.Function = names[n%functions]
					book.add(l)
				}
			})
		})
	}
}
