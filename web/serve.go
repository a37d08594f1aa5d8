package web

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

const (
	indexName       = "index.html"
	placeholderName = "placeholder.html"
	// noncePlaceholder is what index.html has where the nonce belongs.
	noncePlaceholder = "__NONCE__"
	// writeTimeout bounds the time in which a file must have been taken. The
	// largest has some hundred KiB.
	writeTimeout = time.Minute
)

// reserved is what belongs to the API, with everything beneath.
var reserved = []string{"/api", "/metrics", "/healthz", "/readyz", "/debug"}

// types are those of the files that a build makes. The system's own table differs
// from machine to machine, and nosniff makes a wrong one matter.
var types = map[string]string{
	".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
	".json": "application/json", ".woff2": "font/woff2", ".png": "image/png", ".html": "text/html; charset=utf-8",
	".txt": "text/plain; charset=utf-8", ".map": "application/json",
}

// asset is one file, as it is sent.
type asset struct {
	body, etag, contentType string
	// packed says that body is compressed with gzip.
	packed bool
	// immutable is set where the name has the content's hash.
	immutable bool
}

type handler struct {
	api    http.Handler
	assets map[string]asset
	// page is index.html around each place of the nonce, status what it is sent with.
	page   []string
	status int
}

// Handler serves the console's files for every GET that is not the API's, and
// leaves the rest to api. A path that is no file is the page itself, whose own
// router knows it, but beneath /assets, where it is 404. Files are read once,
// here. The handler is safe for concurrent use.
func Handler(files fs.FS, api http.Handler) (http.Handler, error) {
	h := &handler{api: api, assets: map[string]asset{}, status: http.StatusOK}
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		switch name {
		case indexName:
			h.page = strings.Split(string(body), noncePlaceholder)
		case placeholderName:
		default:
			name, packed := strings.CutSuffix(name, ".gz")
			h.assets["/"+name] = newAsset(name, body, packed)
		}
		return nil
	})
	if err == nil && h.page == nil {
		var body []byte
		body, err = fs.ReadFile(files, placeholderName)
		h.page, h.status = []string{string(body)}, http.StatusNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read the console's files: %w", err)
	}
	return h, nil
}

func newAsset(name string, body []byte, packed bool) asset {
	sum := sha256.Sum256(body)
	contentType := types[path.Ext(name)]
	if contentType == "" {
		contentType = "application/octet-stream"
	}
	return asset{
		body: string(body), etag: `"` + hex.EncodeToString(sum[:8]) + `"`, contentType: contentType,
		packed: packed, immutable: strings.HasPrefix(name, "assets/"),
	}
}

// ServeHTTP answers with a file, the page, or what the API says.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || isReserved(r.URL.Path) {
		h.api.ServeHTTP(w, r)
		return
	}
	// The connection may have the deadline of an earlier answer.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	head := w.Header()
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("X-Frame-Options", "DENY")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("Cross-Origin-Opener-Policy", "same-origin")
	head.Set("Cross-Origin-Resource-Policy", "same-origin")
	head.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()")
	file, found := h.assets[r.URL.Path]
	switch {
	case found:
		serveAsset(w, r, file)
	case strings.HasPrefix(r.URL.Path, "/assets/"):
		head.Set("Cache-Control", "no-store")
		head.Set("Content-Security-Policy", policy(""))
		http.Error(w, "there is no such file; a newer Cove may have been started: load the page again", http.StatusNotFound)
	default:
		h.servePage(w, r)
	}
}

// servePage answers with the page and a nonce of its own for style elements,
// which the page's parts make while they run. Scripts have none.
func (h *handler) servePage(w http.ResponseWriter, r *http.Request) {
	nonce := newNonce()
	head := w.Header()
	head.Set("Content-Type", types[".html"])
	head.Set("Content-Security-Policy", policy(nonce))
	head.Set("Cache-Control", "no-store")
	body := strings.Join(h.page, nonce)
	head.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(h.status)
	if r.Method == http.MethodGet {
		_, _ = io.WriteString(w, body)
	}
}

func serveAsset(w http.ResponseWriter, r *http.Request, file asset) {
	head := w.Header()
	head.Set("Content-Type", file.contentType)
	head.Set("Content-Security-Policy", policy(""))
	head.Set("ETag", file.etag)
	head.Set("Cache-Control", "no-cache")
	if file.immutable {
		head.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if file.packed {
		head.Set("Vary", "Accept-Encoding")
	}
	if strings.Contains(r.Header.Get("If-None-Match"), file.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := file.body
	if file.packed {
		if acceptsGzip(r) {
			head.Set("Content-Encoding", "gzip")
		} else {
			body = unpack(body)
		}
	}
	head.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		_, _ = io.WriteString(w, body)
	}
}

// policy is what the page may do: run and load what came from here, and nothing
// else. 'self' and a nonce for styles, as some are made while the page runs;
// attributes are set by script, which the policy leaves alone.
func policy(nonce string) string {
	style := "'self'"
	if nonce != "" {
		style += " 'nonce-" + nonce + "'"
	}
	return "default-src 'self'; script-src 'self'; style-src " + style + "; img-src 'self' data: blob:; font-src 'self'; " +
		"connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-src 'none'; frame-ancestors 'none'"
}

func newNonce() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // Never fails.
	return base64.RawStdEncoding.EncodeToString(b[:])
}

func isReserved(p string) bool {
	for _, prefix := range reserved {
		if rest, ok := strings.CutPrefix(p, prefix); ok && (rest == "" || rest[0] == '/') {
			return true
		}
	}
	return false
}

// acceptsGzip is true for every browser; "gzip;q=0" is what nobody sends, and
// is understood nevertheless.
func acceptsGzip(r *http.Request) bool {
	for coding := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, quality, _ := strings.Cut(strings.TrimSpace(coding), ";")
		if name == "gzip" || name == "*" {
			return strings.ReplaceAll(quality, " ", "") != "q=0"
		}
	}
	return false
}

// unpack is for those who read no gzip. The body is of the build's own making.
func unpack(body string) string {
	zr, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		return ""
	}
	var out bytes.Buffer
	if _, err := io.Copy(&out, zr); err != nil {
		return ""
	}
	return out.String()
}
