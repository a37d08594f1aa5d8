package e2e

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image"
	_ "image/jpeg"
	_ "image/png"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/covefn/cove"
)

// exampleTest is a test.yaml; examples/README.md describes it.
type exampleTest struct {
	Deploy   []string         `yaml:"deploy"`
	Requests []exampleRequest `yaml:"requests"`
}

type exampleRequest struct {
	Name       string            `yaml:"name"`
	Method     string            `yaml:"method"`
	Path       string            `yaml:"path"`
	Headers    map[string]string `yaml:"headers"`
	Body       string            `yaml:"body"`
	BodyFile   string            `yaml:"body_file"`
	BodyRepeat *repeatedText     `yaml:"body_repeat"`
	Repeat     int               `yaml:"repeat"`
	Expect     expectation       `yaml:"expect"`
}

type expectation struct {
	Status       int               `yaml:"status"`
	Headers      map[string]string `yaml:"headers"`
	Cookies      []string          `yaml:"cookies"`
	Equals       *string           `yaml:"equals"`
	Contains     []string          `yaml:"contains"`
	Lacks        []string          `yaml:"lacks"`
	SHA256       string            `yaml:"sha256"`
	Gunzip       *string           `yaml:"gunzip"`
	GunzipRepeat *repeatedText     `yaml:"gunzip_repeat"`
	JSON         any               `yaml:"json"`
	Image        *struct {
		Format string `yaml:"format"`
		Width  int    `yaml:"width"`
		Height int    `yaml:"height"`
	} `yaml:"image"`
	Stream []string `yaml:"stream"`
}

// repeatedText is Text again and again, cut at Size.
type repeatedText struct {
	Text string `yaml:"text"`
	Size string `yaml:"size"`
}

func (r repeatedText) expand(t testing.TB) string {
	t.Helper()
	var size cove.ByteSize
	if err := size.UnmarshalText([]byte(r.Size)); err != nil {
		t.Fatal(err)
	}
	return strings.Repeat(r.Text, int(size)/len(r.Text)+1)[:size]
}

func TestExamples(t *testing.T) {
	l := newLab(t)
	world := l.serve(t, l.world, labWorld, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, "hello from the world")
	}))
	h := start(t, options{Lab: l})
	dirs, err := filepath.Glob(filepath.Join(repository(), "examples", "*", "cove.yaml"))
	if err != nil || len(dirs) < 10 {
		t.Fatalf("there are %d examples: %v", len(dirs), err)
	}
	for _, config := range dirs {
		dir := filepath.Dir(config)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			example := readExample(t, dir, strings.NewReplacer("${WORLD}", world))
			for _, isolation := range isolations {
				t.Run(isolation, func(t *testing.T) {
					h.deployDir(t, dir, append([]string{"--isolation", isolation}, example.Deploy...)...)
					defer h.remove(t, filepath.Base(dir))
					for _, r := range example.Requests {
						for n := range max(r.Repeat, 1) {
							t.Run(r.Name, func(t *testing.T) { h.tryExample(t, dir, r, n+1) })
						}
					}
				})
			}
		})
	}
}

func readExample(t testing.TB, dir string, replacer *strings.Replacer) exampleTest {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "test.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var e exampleTest
	if err := yaml.UnmarshalWithOptions([]byte(replacer.Replace(string(data))), &e, yaml.Strict()); err != nil {
		t.Fatalf("%s/test.yaml: %v", dir, err)
	}
	if len(e.Requests) == 0 {
		t.Fatalf("%s/test.yaml has no requests", dir)
	}
	return e
}

func (h *harness) tryExample(t *testing.T, dir string, r exampleRequest, n int) {
	body := r.Body
	switch {
	case r.BodyFile != "":
		data, err := os.ReadFile(filepath.Join(dir, r.BodyFile))
		if err != nil {
			t.Fatal(err)
		}
		body = string(data)
	case r.BodyRepeat != nil:
		body = r.BodyRepeat.expand(t)
	}
	header := http.Header{}
	for name, value := range r.Headers {
		header.Set(name, value)
	}
	q := request{Method: r.Method, Path: r.Path, Header: header, Body: body}
	var a answer
	if r.Expect.Stream != nil {
		a = h.stream(t, q, r.Expect.Stream)
	} else {
		a = h.do(t, q)
	}
	r.Expect.check(t, a, n)
	if t.Failed() {
		t.Logf("%s %s answered %d %v\n%.2000s\nthe function's log:\n%s", r.Method, r.Path, a.Status, a.Header, a.Body, h.lines(t, filepath.Base(dir)))
	}
}

// stream reads the answer piece by piece and checks that each of pieces was
// there before the next one was sent: the functions pause between them.
func (h *harness) stream(t *testing.T, q request, pieces []string) answer {
	t.Helper()
	res, err := h.open(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	timer := time.AfterFunc(requestTime, func() { _ = res.Body.Close() })
	defer timer.Stop()
	a := answer{Status: res.StatusCode, Header: res.Header}
	buffer := make([]byte, 64<<10)
	reads := 0
	for {
		n, err := res.Body.Read(buffer)
		a.Body += string(buffer[:n])
		if n > 0 {
			reads++
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("the stream broke off after %q: %v", a.Body, err)
		}
	}
	if want := strings.Join(pieces, ""); a.Body != want {
		t.Errorf("the stream was wrong: %s", cmp.Diff(want, a.Body))
	}
	// Two pieces with no pause between them may arrive as one.
	if reads < len(pieces)-1 {
		t.Errorf("%d pieces arrived in %d reads", len(pieces), reads)
	}
	return a
}

func (e expectation) check(t *testing.T, a answer, n int) {
	t.Helper()
	if a.Status != e.Status {
		t.Errorf("the status is %d, not %d", a.Status, e.Status)
	}
	for name, want := range e.Headers {
		if got := a.Header.Get(name); got != want {
			t.Errorf("the header %s is %q, not %q", name, got, want)
		}
	}
	if got := a.Header.Values("Set-Cookie"); e.Cookies != nil && !cmp.Equal(got, e.Cookies) {
		t.Errorf("the cookies are %q, not %q", got, e.Cookies)
	}
	if e.Equals != nil && a.Body != *e.Equals {
		t.Errorf("the body is %.300q, not %.300q", a.Body, *e.Equals)
	}
	for _, part := range e.Contains {
		if !strings.Contains(a.Body, part) {
			t.Errorf("the body lacks %q", part)
		}
	}
	for _, part := range e.Lacks {
		if strings.Contains(a.Body, part) {
			t.Errorf("the body has %q", part)
		}
	}
	if sum := sha256.Sum256([]byte(a.Body)); e.SHA256 != "" && hex.EncodeToString(sum[:]) != e.SHA256 {
		t.Errorf("the SHA-256 of the body, %d bytes, is %x, not %s", len(a.Body), sum, e.SHA256)
	}
	e.checkDecoded(t, a, n)
}

func (e expectation) checkDecoded(t *testing.T, a answer, n int) {
	t.Helper()
	if e.Gunzip != nil {
		if got := gunzip(t, a.Body); got != *e.Gunzip {
			t.Errorf("the body decompressed is %.300q", got)
		}
	}
	if e.GunzipRepeat != nil && gunzip(t, a.Body) != e.GunzipRepeat.expand(t) {
		t.Error("the body decompressed is not what was sent")
	}
	if e.JSON != nil {
		checkJSON(t, e.JSON, a.Body, n)
	}
	if e.Image != nil {
		config, format, err := image.DecodeConfig(strings.NewReader(a.Body))
		if err == nil {
			_, _, err = image.Decode(strings.NewReader(a.Body))
		}
		if err != nil || format != e.Image.Format || config.Width != e.Image.Width || config.Height != e.Image.Height {
			t.Errorf("the image is %s of %dx%d: %v", format, config.Width, config.Height, err)
		}
	}
}

func gunzip(t *testing.T, s string) string {
	t.Helper()
	r, err := gzip.NewReader(strings.NewReader(s))
	if err != nil {
		t.Errorf("the body is not compressed: %v", err)
		return ""
	}
	var b bytes.Buffer
	if _, err := io.Copy(&b, r); err != nil {
		t.Errorf("the body cannot be decompressed: %v", err)
	}
	return b.String()
}

// checkJSON compares what want names; ${N} in it is n as a number.
func checkJSON(t *testing.T, want any, body string, n int) {
	t.Helper()
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.ReplaceAll(text, []byte(`"${N}"`), []byte(strconv.Itoa(n)))
	var expected, got any
	if err := json.Unmarshal(text, &expected); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Errorf("the body is no JSON: %v", err)
		return
	}
	for _, wrong := range compareJSON("$", expected, got) {
		t.Error(wrong)
	}
}

func compareJSON(path string, want, got any) []string {
	object, ok := want.(map[string]any)
	if !ok {
		if !cmp.Equal(want, got) {
			return []string{fmt.Sprintf("%s is %v, not %v", path, got, want)}
		}
		return nil
	}
	members, ok := got.(map[string]any)
	if !ok {
		return []string{fmt.Sprintf("%s is %v, not an object", path, got)}
	}
	var wrong []string
	for name, value := range object {
		wrong = append(wrong, compareJSON(path+"."+name, value, members[name])...)
	}
	return wrong
}
