package e2e

import (
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
)

// ticker answers a stream of three pieces with half a second between them.
func ticker(runtime string) files {
	return files{languages[runtime]: map[string]string{
		"python": `
import time

def handler(event, context):
    def pieces():
        for n in range(3):
            yield f"piece {n}\n"
            time.sleep(0.5)
    return {"statusCode": 200, "headers": {"content-type": "text/plain"}, "body": pieces()}
`,
		"node": `
exports.handler = async () => {
  async function* pieces() {
    for (let n = 0; n < 3; n++) {
      yield 'piece ' + n + '\n';
      await new Promise((done) => setTimeout(done, 500));
    }
  }
  return { statusCode: 200, headers: { 'content-type': 'text/plain' }, body: pieces() };
};
`,
	}[runtime]}
}

// A streamed answer reaches the caller piece by piece, over HTTP/1.1 and over
// HTTP/2: each piece is there before the next one was made.
func TestStreamingPieceByPiece(t *testing.T) {
	h := start(t, options{})
	var unencrypted http.Protocols
	unencrypted.SetUnencryptedHTTP2(true)
	h2 := &http.Client{Transport: &http.Transport{DialContext: h.dial, Protocols: &unencrypted}}
	defer h2.CloseIdleConnections()
	for _, isolation := range isolations {
		for language := range languages {
			name := "ticker-" + language + "-" + isolation
			t.Run(language+" on "+isolation, func(t *testing.T) {
				h.deploy(t, function(name, language, isolation), ticker(language))
				for version, c := range map[string]*http.Client{"HTTP/1.1": h.HTTP, "HTTP/2.0": h2} {
					h.readTicker(t, c, version, "/"+name)
				}
			})
		}
	}
}

func (h *harness) readTicker(t *testing.T, c *http.Client, version, path string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), requestTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.Gateway+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.Proto != version {
		t.Errorf("the protocol is %s, not %s", res.Proto, version)
	}
	var whole strings.Builder
	var arrived []time.Time
	buffer := make([]byte, 4096)
	for {
		n, err := res.Body.Read(buffer)
		if n > 0 {
			whole.Write(buffer[:n])
			arrived = append(arrived, time.Now())
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%s: the stream broke off after %q: %v", version, whole.String(), err)
		}
	}
	end := time.Now()
	if got := whole.String(); got != "piece 0\npiece 1\npiece 2\n" {
		t.Errorf("%s: the stream was %q", version, got)
	}
	// The function pauses three times for half a second, also after the last.
	if len(arrived) != 3 || end.Sub(arrived[0]) < time.Second || end.Sub(arrived[2]) < 250*time.Millisecond {
		t.Errorf("%s: the pieces did not arrive one by one: %d reads, the first %s before the end", version, len(arrived), end.Sub(arrived[0]))
	}
}

// A function with one instance and room for two in its queue answers three of
// six requests that come at once, and refuses three with 429 at once; who waits
// longer than the queue timeout gets 503.
func TestQueueFull(t *testing.T) {
	h := start(t, options{})
	for _, isolation := range isolations {
		t.Run(isolation, func(t *testing.T) {
			cfg := function("narrow-"+isolation, "python", isolation)
			cfg.Scaling = cove.Scaling{Max: 1, Queue: 2}
			h.deploy(t, cfg, sleeper("python"))
			served := 0
			for _, a := range h.atOnce(t, 6, "/"+cfg.Name+"?s=1.5") {
				if a.Status == http.StatusOK {
					served++
					continue
				}
				if p := a.problem(t); a.Status != http.StatusTooManyRequests || p.Code != cove.CodeQueueFull || a.Header.Get("Retry-After") == "" {
					t.Errorf("a refused request was answered %d, Retry-After %q: %s", a.Status, a.Header.Get("Retry-After"), a.Body)
				}
				if a.Took > 1500*time.Millisecond { // By then one was served.
					t.Errorf("a request that found the queue full was answered after %s", a.Took)
				}
			}
			if served != 3 {
				t.Errorf("%d of 6 requests were served, not 3", served)
			}
			cfg.QueueTimeout = cove.Duration(500 * time.Millisecond)
			h.deploy(t, cfg, sleeper("python"))
			for _, a := range h.atOnce(t, 2, "/"+cfg.Name+"?s=2") {
				if a.Status == http.StatusOK {
					continue
				}
				if p := a.problem(t); a.Status != http.StatusServiceUnavailable || p.Code != cove.CodeOverloaded || a.Header.Get("Retry-After") == "" {
					t.Errorf("a request that waited too long was answered %d: %s", a.Status, a.Body)
				}
				served--
			}
			if served != 2 {
				t.Errorf("%d requests of 2 waited too long, not 1", 3-served)
			}
		})
	}
}

// atOnce sends n requests at the same time.
func (h *harness) atOnce(t *testing.T, n int, path string) []answer {
	t.Helper()
	answers := make([]answer, n)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			var err error
			if answers[i], err = h.try(t.Context(), request{Path: path}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return answers
}

// A function with auth: token is called with a token that may, and with no
// other; the control API wants one for everything.
func TestAuthToken(t *testing.T) {
	h := start(t, options{})
	closed := function("closed", "python", "gvisor")
	closed.Auth = cove.AuthToken
	h.deploy(t, closed, echo("python", "closed"))
	other := function("other", "node", "docker")
	other.Auth = cove.AuthToken
	h.deploy(t, other, echo("node", "other"))

	limited, err := h.Client.CreateToken(t.Context(), wire.TokenCreate{Name: "only closed", Role: "invoke", Functions: []string{"closed"}})
	if err != nil {
		t.Fatal(err)
	}
	call := func(status int, path, token string, code cove.Code) {
		t.Helper()
		header := http.Header{}
		if token != "" {
			header.Set("Authorization", "Bearer "+token)
		}
		a := h.want(t, status, request{Path: path, Header: header})
		if status != http.StatusOK {
			if p := a.problem(t); p.Code != code {
				t.Errorf("%s: the code is %s, not %s", path, p.Code, code)
			}
		}
	}
	call(http.StatusUnauthorized, "/closed", "", cove.CodeUnauthenticated)
	call(http.StatusUnauthorized, "/closed", "wrong", cove.CodeUnauthenticated)
	call(http.StatusOK, "/closed", h.Token, "")
	call(http.StatusOK, "/closed", limited.Secret, "")
	call(http.StatusForbidden, "/other", limited.Secret, cove.CodeDenied)
	if err := h.Client.DeleteToken(t.Context(), limited.ID); err != nil {
		t.Fatal(err)
	}
	call(http.StatusUnauthorized, "/closed", limited.Secret, cove.CodeUnauthenticated)

	for _, path := range []string{"/api/v1/functions", "/api/v1/system", "/api/v1/tokens", "/api/v1/functions/closed/code", "/debug/pprof/"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.API+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := h.HTTP.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s without a token is answered %d", path, res.StatusCode)
		}
	}
}

// Changing a function's isolation is changing one field: the same package then
// runs behind another wall.
func TestTwoIsolationsSameFunction(t *testing.T) {
	h := start(t, options{})
	hostKernel, err := os.ReadFile("/proc/version")
	if err != nil {
		t.Fatal(err)
	}
	kernel := files{
		"main.py":  "def handler(event, context):\n    return open('/proc/version').read()\n",
		"index.js": "exports.handler = async () => require('node:fs').readFileSync('/proc/version', 'utf8');\n",
	}
	for language := range languages {
		t.Run(language, func(t *testing.T) {
			cfg := function("moved-"+language, language, "docker")
			made := h.deploy(t, cfg, kernel)
			for _, isolation := range []string{"docker", "gvisor", "docker"} {
				f, err := h.Client.Patch(t.Context(), cfg.Name, map[string]any{"isolation": isolation}, 0)
				if err != nil {
					t.Fatal(err)
				}
				if f.Version.Package != made.Version.Package {
					t.Errorf("%s: the package changed: %+v", isolation, f.Version.Package)
				}
				r := h.invoke(t, cfg.Name, "")
				if r.Outcome != cove.OutcomeOK || r.Invocation.Isolation != isolation {
					t.Fatalf("%s: the outcome is %s on %s: %+v", isolation, r.Outcome, r.Invocation.Isolation, r.Error)
				}
				same := string(r.Answer) == string(mustJSON(t, string(hostKernel)))
				if same != (isolation == "docker") {
					t.Errorf("%s: the kernel is %s", isolation, r.Answer)
				}
				if r.Invocation.CPU <= 0 || r.Invocation.PeakMemory < cove.MiB {
					t.Errorf("%s: the use was not measured: %s of CPU, %s of memory", isolation, r.Invocation.CPU, r.Invocation.PeakMemory)
				}
			}
		})
	}
}
