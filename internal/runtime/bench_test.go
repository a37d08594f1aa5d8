package runtime_test

import (
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/runtime"
)

// BenchmarkInvoke is a call and its answer over a unix socket with a peer that
// answers at once: what the host's side of the protocol costs.
func BenchmarkInvoke(b *testing.B) {
	for _, c := range []struct {
		name, head string
		inv        *runtime.Invoke
		size       int
	}{
		{"direct", "", direct("{}"), 2},
		{"http", `{"status":200,"headers":{"content-type":["text/html"]}}`, overHTTP(), 100},
		{"direct 1 MiB", "", direct(strings.Repeat("x", 1<<20)), 1 << 20},
	} {
		b.Run(c.name, func(b *testing.B) {
			conn, p := pair(b, runtime.Options{})
			payload := strings.Repeat("y", c.size)
			p.serve(func(_ runtime.FrameType, id uint64, _ []byte) []byte {
				return frame(runtime.FrameResult, id, result(c.head, payload))
			})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := conn.Invoke(soon(), c.inv); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRawEcho is the same way there and back without the protocol.
func BenchmarkRawEcho(b *testing.B) {
	here, there := socketPair(b)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(there, there)
	}()
	buf := make([]byte, 128)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := here.Write(buf); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(here, buf); err != nil {
			b.Fatal(err)
		}
	}
	_ = here.Close()
	<-done
}

// BenchmarkCodec is a call without any socket: encode, decode.
func BenchmarkCodec(b *testing.B) {
	inv := overHTTP()
	inv.Event = []byte(`{"version":"2.0","headers":{` + strings.Repeat(`"a-header":"and its value",`, 20) + `"z":""}}`)
	inv.Kind = cove.KindHTTP
	for _, head := range []string{"", `{"status":200,"headers":{"content-type":["application/json"],"cache-control":["no-store"]}}`} {
		b.Run("head of "+strconv.Itoa(len(head)), func(b *testing.B) {
			s := &replay{answer: result(head, "payload")}
			c := runtime.NewConn(s, runtime.Options{})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Invoke(soon(), inv); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
