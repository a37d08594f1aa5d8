package api_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/api"
)

// Callers who mean ill.
func TestHostileCallers(t *testing.T) {
	t.Parallel()
	t.Run("cannot hold a connection by a body that never comes, with or without a token", func(t *testing.T) {
		t.Parallel()
		c := setup(t, func(o *api.Options) { o.BodyTimeout = 200 * time.Millisecond })
		for _, token := range []string{"no token at all", c.s.Invoker} {
			conn, err := net.Dial("tcp", c.s.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprintf(conn, "POST /api/v1/functions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 9\r\n\r\n{", token)
			_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			if _, err := io.Copy(io.Discard, conn); err != nil {
				t.Errorf("the connection is still open: %v", err)
			}
		}
	})

	t.Run("cannot hold one by not reading an answer", func(t *testing.T) {
		t.Parallel()
		c := setup(t, func(o *api.Options) { o.WriteTimeout = 200 * time.Millisecond })
		conn, err := net.Dial("tcp", c.s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		// Far more than the kernel buffers for one that does not read.
		ask := strings.Repeat("GET /api/v1/openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n", 400)
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(conn, ask)
		time.Sleep(time.Second)
		n, err := io.Copy(io.Discard, conn)
		if nerr, ok := err.(net.Error); ok && nerr.Timeout() {
			t.Errorf("after %d bytes the connection is still open", n)
		}
	})

	t.Run("do not read what another's call printed by taking its request id", func(t *testing.T) {
		t.Parallel()
		c := setup(t)
		c.json("POST", "/api/v1/functions", `{"name":"hello","runtime":"python","files":{"main.py":"x"}}`)
		c.s.Log("hello", "request-1", "a secret of another")
		c.token = c.s.Invoker
		a := c.json("POST", "/api/v1/functions/hello/invoke", `1`, "X-Request-Id", "request-1")
		var r wire.Result
		if err := json.Unmarshal(a.body, &r); err != nil {
			t.Fatal(err)
		}
		if len(r.Logs) != 1 || r.Logs[0].Text != "called" {
			t.Errorf("the log is %+v", r.Logs)
		}
	})
}
