package web_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/covefn/cove/web"
)

const (
	script  = "console.log('a bay');"
	page    = `<meta name="csp-nonce" content="__NONCE__"><script src="/assets/index-1a2b.js"></script>`
	apiSaid = "the API's answer"
)

func setup(t *testing.T, files fstest.MapFS) http.Handler {
	t.Helper()
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, apiSaid+": "+r.Method+" "+r.URL.Path)
	})
	h, err := web.Handler(files, api)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func built(t *testing.T) fstest.MapFS {
	t.Helper()
	var packed bytes.Buffer
	zw := gzip.NewWriter(&packed)
	_, _ = io.WriteString(zw, script)
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return fstest.MapFS{
		"index.html":              {Data: []byte(page)},
		"placeholder.html":        {Data: []byte("not built")},
		"assets/index-1a2b.js.gz": {Data: packed.Bytes()},
		"assets/font-3c4d.woff2":  {Data: []byte("font")},
		"theme.js.gz":             {Data: packed.Bytes()},
	}
}

func get(h http.Handler, method, path string, header ...string) *http.Response {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestHandler(t *testing.T) {
	t.Parallel()
	h := setup(t, built(t))

	t.Run("what is the API's goes to the API", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"/api/v1/functions", "/api", "/metrics", "/healthz", "/readyz", "/debug/pprof/"} {
			if got := body(t, get(h, "GET", path)); got != apiSaid+": GET "+path {
				t.Errorf("GET %s: %q", path, got)
			}
		}
		if got := body(t, get(h, "POST", "/functions")); got != apiSaid+": POST /functions" {
			t.Errorf("POST /functions: %q", got)
		}
	})

	t.Run("every other path is the page", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"/", "/login", "/functions/hello/code", "/metricsx", "/apis", "/index.html"} {
			r := get(h, "GET", path)
			if got := body(t, r); r.StatusCode != http.StatusOK || !strings.Contains(got, "/assets/index-1a2b.js") {
				t.Errorf("GET %s: %d %q", path, r.StatusCode, got)
			}
			if r.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("GET %s: Cache-Control %q", path, r.Header.Get("Cache-Control"))
			}
		}
	})

	t.Run("the page's policy lets no inline script run, no frame around it, and no request out", func(t *testing.T) {
		t.Parallel()
		r := get(h, "GET", "/")
		csp := r.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'self'", "script-src 'self';", "connect-src 'self';", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'", "object-src 'none'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("the policy %q lacks %q", csp, want)
			}
		}
		if strings.Contains(csp, "unsafe") {
			t.Errorf("the policy %q allows what is unsafe", csp)
		}
		if r.Header.Get("X-Frame-Options") != "DENY" || r.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("headers: %v", r.Header)
		}
	})

	t.Run("each page has a nonce of its own, the same in header and text", func(t *testing.T) {
		t.Parallel()
		seen := map[string]bool{}
		for range 3 {
			r := get(h, "GET", "/")
			nonce := regexp.MustCompile(`content="([A-Za-z0-9+/]{22})"`).FindStringSubmatch(body(t, r))
			if nonce == nil || !strings.Contains(r.Header.Get("Content-Security-Policy"), "style-src 'self' 'nonce-"+nonce[1]+"';") || seen[nonce[1]] {
				t.Fatalf("nonce %q, policy %q", nonce, r.Header.Get("Content-Security-Policy"))
			}
			seen[nonce[1]] = true
		}
	})

	t.Run("a file is sent as it was compressed, to be kept for ever where its name has its hash", func(t *testing.T) {
		t.Parallel()
		r := get(h, "GET", "/assets/index-1a2b.js", "Accept-Encoding", "br, gzip")
		if r.Header.Get("Content-Encoding") != "gzip" || r.Header.Get("Vary") != "Accept-Encoding" ||
			r.Header.Get("Content-Type") != "text/javascript; charset=utf-8" || !strings.Contains(r.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("headers: %v", r.Header)
		}
		zr, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(zr); err != nil || string(got) != script {
			t.Errorf("%q, %v", got, err)
		}
		if cc := get(h, "GET", "/theme.js").Header.Get("Cache-Control"); cc != "no-cache" {
			t.Errorf("a file without a hash in its name: Cache-Control %q", cc)
		}
	})

	t.Run("who reads no gzip gets the file itself", func(t *testing.T) {
		t.Parallel()
		for _, accepts := range []string{"", "br", "gzip;q=0"} {
			r := get(h, "GET", "/assets/index-1a2b.js", "Accept-Encoding", accepts)
			if got := body(t, r); got != script || r.Header.Get("Content-Encoding") != "" {
				t.Errorf("Accept-Encoding %q: %q, %v", accepts, got, r.Header)
			}
		}
	})

	t.Run("who has the file already is told so", func(t *testing.T) {
		t.Parallel()
		tag := get(h, "GET", "/assets/font-3c4d.woff2").Header.Get("ETag")
		r := get(h, "GET", "/assets/font-3c4d.woff2", "If-None-Match", tag)
		if got := body(t, r); r.StatusCode != http.StatusNotModified || got != "" {
			t.Errorf("%d %q", r.StatusCode, got)
		}
	})

	t.Run("a file of another build is not there, instead of a page in its place", func(t *testing.T) {
		t.Parallel()
		r := get(h, "GET", "/assets/index-9f9f.js")
		if r.StatusCode != http.StatusNotFound || strings.Contains(body(t, r), "<") {
			t.Errorf("%d", r.StatusCode)
		}
	})

	t.Run("HEAD has the head alone", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"/", "/theme.js"} {
			r := get(h, "HEAD", path)
			if got := body(t, r); got != "" || r.ContentLength <= 0 {
				t.Errorf("HEAD %s: %q, %d bytes announced", path, got, r.ContentLength)
			}
		}
	})
}

func TestABinaryWithoutTheConsoleSaysSo(t *testing.T) {
	t.Parallel()
	h := setup(t, fstest.MapFS{"placeholder.html": {Data: []byte("not built")}})
	r := get(h, "GET", "/")
	if got := body(t, r); r.StatusCode != http.StatusNotFound || got != "not built" {
		t.Errorf("%d %q", r.StatusCode, got)
	}
}

func TestTheBinaryHasAPage(t *testing.T) {
	t.Parallel()
	h, err := web.Handler(web.Files(), http.NotFoundHandler())
	if err != nil {
		t.Fatal(err)
	}
	if got := body(t, get(h, "GET", "/")); !strings.Contains(got, "<title>Cove</title>") {
		t.Errorf("%q", got)
	}
}
