package compare

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/bench"
	"github.com/covefn/cove/internal/runtime"
)

// subject is a function that is measured, in every isolation.
type subject struct {
	// id is short and unique; name and summary are for people.
	id, name, summary string
	runtime           runtime.Runtime
	config            cove.Config
	// files are the code of a built-in function, archive is that of a user's. Once
	// deployed, dir holds both.
	files   map[string]string
	archive func() (io.ReadCloser, error)
	dir     string
	event   []byte
	// want is the body of the right answer; nil where any answer is right.
	want *string
	// loads says that the subject's own time is that of loading it.
	loads bool
	// whole says that everything is measured with it, not just its own time.
	whole bool
}

// kind is one of the forms in which a subject is deployed in each isolation, each
// for one thing to measure.
type kind string

const (
	// kindPlain is never paused and may use a stem cell.
	kindPlain kind = "plain"
	// kindCold cannot use a stem cell: it has an early environment variable.
	kindCold kind = "cold"
	// kindPaused is paused as soon as it idles.
	kindPaused kind = "paused"
	// kindBurst may have as many instances as a burst has calls.
	kindBurst kind = "burst"
)

const (
	// burstCalls is how many first calls come at once.
	burstCalls = 50
	// soonPaused is how soon an instance of kindPaused is, never how long the
	// others idle at most: longer than any run.
	soonPaused = 100 * time.Millisecond
	never      = time.Hour
	// callTime bounds one call.
	callTime = 60 * time.Second
)

// function is the name of a subject's form in an isolation.
func (s *subject) function(isolation string, k kind) string {
	return fmt.Sprintf("%s-%s-%s", s.id, isolation, k)
}

// label names a subject among those of one run.
func (s *subject) label() string { return s.name + " (" + s.runtime.Name + ")" }

// kinds are the forms that are measured of a subject.
func (s *subject) kinds() []kind {
	if !s.whole {
		return []kind{kindPlain}
	}
	return []kind{kindPlain, kindCold, kindPaused, kindBurst}
}

// configFor is a subject's configuration in one form. The user's own is kept but
// for what the measurement decides.
func (s *subject) configFor(isolation string, k kind) cove.Config {
	c := s.config
	c.Name, c.Isolation, c.Description = s.function(isolation, k), isolation, ""
	c.Route, c.Methods, c.Auth, c.CORS = "/"+c.Name, nil, cove.AuthPublic, nil
	c.QueueTimeout = cove.Duration(callTime)
	env := cove.Env{}
	for name, v := range c.Env {
		env[name] = v
	}
	if k == kindCold {
		env["LANG"] = cove.EnvVar{Value: "C.UTF-8"}
	}
	c.Env = env
	if s.want != nil {
		// A limit of one processor would throttle a language's helper threads, which
		// the bare process has none of.
		c.CPU = float64(goruntime.NumCPU())
	}
	c.Scaling.Min, c.Scaling.Reserved, c.Scaling.Max, c.Scaling.Queue = 0, 0, goruntime.NumCPU(), 1000
	c.Scaling.Idle, c.Scaling.Policy, c.Scaling.Pause = cove.Duration(never), cove.PolicyFixed, cove.Duration(never)
	switch k {
	case kindPaused:
		c.Scaling.Pause = cove.Duration(soonPaused)
	case kindBurst:
		c.Scaling.Max = burstCalls
	}
	return c
}

// deploy makes every form of a subject in every isolation.
func (r *run) deploy(ctx context.Context, s *subject) error {
	s.dir = filepath.Join(r.dir, s.id)
	if err := s.unpack(); err != nil {
		return fmt.Errorf("unpack the code: %w", err)
	}
	for _, isolation := range r.isolations {
		for _, k := range s.kinds() {
			if err := r.create(ctx, s, s.configFor(isolation, k)); err != nil {
				return err
			}
		}
	}
	return nil
}

// unpack writes the code into dir, where every user may read it.
func (s *subject) unpack() error {
	if err := os.Mkdir(s.dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	for name, text := range s.files {
		if err := writeFile(root, name, strings.NewReader(text), 0o644); err != nil {
			return err
		}
	}
	if s.archive == nil {
		return nil
	}
	packed, err := s.archive()
	if err != nil {
		return err
	}
	defer func() { _ = packed.Close() }()
	unzipped, err := gzip.NewReader(packed)
	if err != nil {
		return err
	}
	archive := tar.NewReader(unzipped)
	for {
		h, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err == nil && h.Typeflag == tar.TypeSymlink:
			if err = root.MkdirAll(path.Dir(h.Name), 0o755); err == nil {
				err = root.Symlink(h.Linkname, h.Name)
			}
		case err == nil:
			err = writeFile(root, h.Name, archive, h.FileInfo().Mode().Perm())
		}
		if err != nil {
			return err
		}
	}
}

func writeFile(root *os.Root, name string, text io.Reader, mode os.FileMode) error {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, text)
	return errors.Join(err, f.Close())
}

func (r *run) create(ctx context.Context, s *subject, cfg cove.Config) error {
	if s.files == nil {
		archive, err := s.archive()
		if err != nil {
			return err
		}
		_, err = r.daemon.client.Create(ctx, cfg, &client.Archive{Reader: archive, Format: "tar.gz"})
		return errors.Join(err, archive.Close())
	}
	files := wire.Files{}
	for name, text := range s.files {
		files[name] = wire.File(text)
	}
	if _, err := r.daemon.client.Create(ctx, cfg, nil); err != nil {
		return err
	}
	_, err := r.daemon.client.PutFiles(ctx, cfg.Name, files, 0)
	return err
}

// invoke calls a form of the subject through the control API, whose answer says
// which start class it was, and checks the answer.
func (r *run) invoke(ctx context.Context, s *subject, function string) (bench.Sample, error) {
	began := time.Now()
	res, err := r.daemon.client.InvokeTimeout(ctx, function, s.event, callTime)
	took := time.Since(began)
	if err != nil {
		return bench.Sample{}, err
	}
	if res.Outcome != cove.OutcomeOK {
		message := res.Outcome
		if res.Error != nil {
			message = res.Error.Detail
		}
		return bench.Sample{}, errors.New(message)
	}
	return bench.Sample{Took: took, Start: res.Invocation.Start, Timings: res.Invocation.Timings}, s.check(res.Answer)
}

// check is an error if answer is not the right one.
func (s *subject) check(answer json.RawMessage) error {
	if s.want == nil {
		return nil
	}
	var a struct {
		StatusCode int    `json:"statusCode"`
		Body       string `json:"body"`
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return fmt.Errorf("the answer is %.80q: %w", answer, err)
	}
	if a.StatusCode != http.StatusOK || a.Body != *s.want {
		return fmt.Errorf("a wrong answer: %.80q", answer)
	}
	return nil
}

// classed is invoke, of which only one start class is right.
func (r *run) classed(ctx context.Context, s *subject, function string, class cove.StartClass) (bench.Sample, error) {
	x, err := r.invoke(ctx, s, function)
	if err == nil && x.Start != class {
		err = fmt.Errorf("the start was %s and not %s", x.Start, class)
	}
	return x, err
}

// web says whether the subject is called through the gateway: a built-in one that
// answers HTTP. A user's may want an event that only the control API can send.
func (s *subject) web() bool { return s.want != nil && s.event == nil }

// gatewayCall is the way in for loads: through the gateway, or for a subject that
// cannot be called there through the control API.
func (r *run) gatewayCall(s *subject, function string) bench.Call {
	if !s.web() {
		return func(ctx context.Context) error {
			_, err := r.invoke(ctx, s, function)
			return err
		}
	}
	web := &http.Client{Transport: r.web}
	url := r.daemon.gateway + "/" + function
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		res, err := web.Do(req)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(res.Body)
		if err = errors.Join(err, res.Body.Close()); err != nil {
			return err
		}
		if res.StatusCode != http.StatusOK || !bytes.Equal(body, []byte(*s.want)) {
			return fmt.Errorf("the gateway answered %s: %.80q", res.Status, body)
		}
		return nil
	}
}
