package shimtest

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/runtime"
)

const getEvent = `{"version":"2.0","rawPath":"/x","isBase64Encoded":false}`

var echo = source{
	"def handler(event, context):\n    return event\n",
	"exports.handler = async (event) => event;\n",
}

var echoBody = source{
	`
def handler(event, context):
    return {"statusCode": 200, "body": event.get("body"), "isBase64Encoded": event["isBase64Encoded"]}
`, `
exports.handler = async (event) => ({statusCode: 200, body: event.body, isBase64Encoded: event.isBase64Encoded});
`}

func payloadRules() []rule {
	return []rule{
		{"a direct event comes back as it is", echo, func(t *testing.T, s *session) {
			s.mustLoad(t)
			for _, v := range []string{`null`, `true`, `0`, `-1.5`, `""`, `"ünï\u0000 \"x\" 😀"`, `[]`, `{"a":[1,{"b":null}]}`} {
				var want, got any
				check(t, json.Unmarshal([]byte(v), &want))
				check(t, json.Unmarshal([]byte(s.direct(t, v)), &got))
				if w, g := jsonOf(t, want), jsonOf(t, got); w != g {
					t.Errorf("%s came back as %s", w, g)
				}
			}
		}},
		{"no payload is null", echo, func(t *testing.T, s *session) {
			s.mustLoad(t)
			if got := s.direct(t, ""); got != "null" {
				t.Errorf("answer %q", got)
			}
		}},
		{"an event that is no JSON is refused and the instance stays", echo, func(t *testing.T, s *session) {
			s.mustLoad(t)
			if f := s.fails(t, `{"a":`); f.Type != runtime.TypeBadEvent {
				t.Errorf("error %+v", f)
			}
			if got := s.direct(t, `1`); got != "1" {
				t.Errorf("answer %q after the refusal", got)
			}
		}},
		{"bodies of every size up to the limit come back", echoBody, func(t *testing.T, s *session) {
			s.mustLoad(t)
			for _, n := range []int{0, 1, 2, 4095, 4096, 32 << 10, 65535, 65536, 65537, 1 << 20, runtime.MaxPayload} {
				body := strings.Repeat("x", n)
				if a := s.http(t, getEvent, body); string(a.Payload) != body {
					t.Errorf("a body of %d bytes came back with %d", n, len(a.Payload))
				}
			}
		}},
		{"binary bodies come back through base64", echoBody, func(t *testing.T, s *session) {
			s.mustLoad(t)
			body := make([]byte, 256)
			for i := range body {
				body[i] = byte(i)
			}
			a := s.http(t, `{"isBase64Encoded":true}`, string(body))
			if string(a.Payload) != string(body) {
				t.Errorf("came back as %s", base64.StdEncoding.EncodeToString(a.Payload))
			}
		}},
		{"an answer one byte past the limit is refused and the instance stays", source{
			"def handler(event, context):\n    return 'x' * event\n",
			"exports.handler = async (n) => 'x'.repeat(n);\n",
		}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			if got := s.direct(t, itoa(runtime.MaxPayload-2)); len(got) != runtime.MaxPayload {
				t.Errorf("the largest answer came with %d bytes", len(got))
			}
			_, err := s.invoke(cove.KindDirect, "", itoa(runtime.MaxPayload-1))
			if cove.CodeOf(err) != cove.CodeResponseTooLarge {
				t.Errorf("error %v", err)
			}
			if got := s.direct(t, "1"); got != `"x"` {
				t.Errorf("answer %q after the refusal", got)
			}
		}},
		{"frames that arrive byte by byte are put together", echo, func(t *testing.T, s *session) {
			// The session's HELLO and PREPARED have been read; what follows is cut up.
			s.prepared(t)
			s.conn = runtime.NewConn(&chopped{Conn: s.proc.Conn}, runtime.Options{})
			s.mustLoad(t)
			for range 3 {
				if got := s.direct(t, `"split"`); got != `"split"` {
					t.Errorf("answer %q", got)
				}
			}
		}},
		{"frames cut in two at every byte are put together", echo, func(t *testing.T, s *session) {
			s.mustLoad(t)
			frame := rawInvoke(1, `"cut"`)
			for at := 1; at < len(frame); at++ {
				write(t, s.proc.Conn, frame[:at])
				time.Sleep(200 * time.Microsecond)
				write(t, s.proc.Conn, frame[at:])
				if kind, _, body := readFrame(t, s.proc.Conn); kind != runtime.FrameResult || !strings.HasSuffix(string(body), `"cut"`) {
					t.Fatalf("cut at %d: frame %#x %q", at, kind, body)
				}
			}
		}},
		{"frames that arrive together are taken apart", echo, func(t *testing.T, s *session) {
			s.prepared(t)
			body, err := json.Marshal(s.init)
			check(t, err)
			all := rawFrame(runtime.FrameInit, 0, body)
			for id := range uint64(3) {
				all = append(all, rawInvoke(id+1, itoa(int(id)))...)
			}
			write(t, s.proc.Conn, all)
			if kind, _, _ := readFrame(t, s.proc.Conn); kind != runtime.FrameReady {
				t.Fatalf("frame %#x in answer to INIT", kind)
			}
			for want := range uint64(3) {
				kind, id, body := readFrame(t, s.proc.Conn)
				if kind != runtime.FrameResult || id != want+1 || !strings.HasSuffix(string(body), itoa(int(want))) {
					t.Fatalf("call %d: frame %#x, id %d, %q", want, kind, id, body)
				}
			}
		}},
	}
}

// chopped writes every byte by itself.
type chopped struct{ net.Conn }

func (c *chopped) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := c.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
		if i%16 == 0 {
			time.Sleep(50 * time.Microsecond)
		}
	}
	return len(p), nil
}

func rawFrame(t runtime.FrameType, id uint64, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(9+len(body)))
	b = append(b, byte(t))
	b = binary.BigEndian.AppendUint64(b, id)
	return append(b, body...)
}

func rawInvoke(id uint64, payload string) []byte {
	head := `{"kind":"direct","request_id":"r","timeout_ms":10000,"marker":"m"}`
	body := binary.BigEndian.AppendUint32(nil, uint32(len(head)))
	return rawFrame(runtime.FrameInvoke, id, append(append(body, head...), payload...))
}

func write(t testing.TB, c net.Conn, p []byte) {
	t.Helper()
	check(t, c.SetDeadline(time.Now().Add(patience)))
	_, err := c.Write(p)
	check(t, err)
}

// readFrame reads one frame without any of the host's checks.
func readFrame(t testing.TB, c net.Conn) (runtime.FrameType, uint64, []byte) {
	t.Helper()
	check(t, c.SetDeadline(time.Now().Add(patience)))
	var h [13]byte
	_, err := io.ReadFull(c, h[:])
	if errors.Is(err, io.EOF) {
		t.Fatal("the stream ended")
	}
	check(t, err)
	body := make([]byte, binary.BigEndian.Uint32(h[:])-9)
	_, err = io.ReadFull(c, body)
	check(t, err)
	return runtime.FrameType(h[4]), binary.BigEndian.Uint64(h[5:]), body
}

func jsonOf(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	check(t, err)
	return string(b)
}

func itoa(n int) string { return strconv.Itoa(n) }

func hexOf(s string) string { return hex.EncodeToString([]byte(s)) }
