package apitest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/code"
	"github.com/covefn/cove/internal/deploy"
)

// Functions keeps functions in memory, with few of the checks of the real use
// case.
type Functions struct {
	mu       sync.Mutex
	versions map[string][]cove.Version
	active   map[string]cove.Function
	code     map[string][]byte
}

// NewFunctions has none.
func NewFunctions() *Functions {
	return &Functions{versions: map[string][]cove.Version{}, active: map[string]cove.Function{}, code: map[string][]byte{}}
}

var _ deploy.Functions = (*Functions)(nil)

func (f *Functions) keep(code deploy.Code) (cove.Package, error) {
	if code.Archive == nil && code.Files == nil {
		return cove.Package{}, nil
	}
	format, data := code.Format, []byte(nil)
	if code.Archive != nil {
		var err error
		if data, err = io.ReadAll(code.Archive); err != nil {
			return cove.Package{}, &cove.Error{Code: cove.CodeInvalid, Message: "the archive cannot be read", Err: err}
		}
	} else {
		format = "tar.gz"
		for _, name := range slices.Sorted(func(yield func(string) bool) {
			for n := range code.Files {
				if !yield(n) {
					return
				}
			}
		}) {
			data = append(data, code.Files[name]...)
		}
	}
	sum := sha256.Sum256(data)
	digest := hex.EncodeToString(sum[:])
	f.code[digest] = data
	return cove.Package{SHA256: digest, Format: format, Size: int64(len(data)), Unpacked: int64(len(data)), Files: max(1, len(code.Files))}, nil
}

func (f *Functions) add(cfg cove.Config, pkg cove.Package, note string) cove.Function {
	now := time.Now()
	fn := f.active[cfg.Name]
	v := cove.Version{
		ID: fmt.Sprintf("%s-%d", cfg.Name, now.UnixNano()), Function: cfg.Name, Number: len(f.versions[cfg.Name]) + 1,
		Config: cfg, Package: pkg, Created: now, Note: note,
	}
	if fn.Name == "" {
		fn = cove.Function{Name: cfg.Name, Created: now}
	}
	fn.Revision, fn.Version, fn.Updated = fn.Revision+1, v, now
	f.versions[cfg.Name] = append([]cove.Version{v}, f.versions[cfg.Name]...)
	f.active[cfg.Name] = fn
	return fn
}

// Create refuses a taken name.
func (f *Functions) Create(_ context.Context, c deploy.Change) (d deploy.Deployed, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	cfg := *c.Config
	if cfg.Name == "" {
		return d, cove.Invalid("name", "a name is needed")
	}
	if _, ok := f.active[cfg.Name]; ok {
		return d, cove.Errorf(cove.CodeConflict, "there is a function %q already", cfg.Name)
	}
	pkg, err := f.keep(c.Code)
	if err != nil {
		return d, err
	}
	if d.Warmed, err = warm(c.Warm, cfg.Name, 0, pkg); err != nil {
		return d, err
	}
	d.Function, d.Note = f.add(cfg, pkg, "created"), note(cfg)
	return d, nil
}

// note is that of a function with the variable LANG.
func note(cfg cove.Config) string {
	if _, ok := cfg.Env["LANG"]; ok {
		return "LANG is read when the language starts"
	}
	return ""
}

// warm fails for a function named "broken", and does nothing for one named
// "imageless".
func warm(wanted bool, name string, active int, pkg cove.Package) (*deploy.Warmed, error) {
	switch {
	case !wanted || pkg.SHA256 == "":
		return nil, nil
	case name == "imageless":
		return &deploy.Warmed{Note: "the image of python3.13 is not there: cove image build python3.13"}, nil
	case name == "broken":
		e := BrokenImport()
		e.Message = fmt.Sprintf("not deployed, version %d goes on: %s", active, e.Message)
		return nil, e
	}
	return &deploy.Warmed{Ready: 1, Took: 12 * time.Millisecond}, nil
}

func (f *Functions) find(name string, rev int64) (cove.Function, error) {
	fn, ok := f.active[name]
	if !ok {
		return fn, cove.Errorf(cove.CodeNotFound, "there is no function %q", name)
	}
	if rev != 0 && rev != fn.Revision {
		return fn, cove.Errorf(cove.CodePreconditionFailed, "function %q is at revision %d", name, fn.Revision)
	}
	return fn, nil
}

// Update makes a version.
func (f *Functions) Update(_ context.Context, name string, c deploy.Change) (d deploy.Deployed, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fn, err := f.find(name, c.IfRevision)
	if err != nil {
		return d, err
	}
	if c.Edits != nil {
		c.Code.Files = c.Edits
	}
	pkg, err := f.keep(c.Code)
	if err != nil {
		return d, err
	}
	if pkg.SHA256 == "" {
		pkg = fn.Version.Package
	}
	cfg := fn.Version.Config
	if c.Config != nil {
		cfg = *c.Config
		for n, v := range cfg.Env {
			if v.Secret && v.Value == "" {
				cfg.Env[n] = fn.Version.Config.Env[n]
			}
		}
	}
	if d.Warmed, err = warm(c.Warm, name, fn.Version.Number, pkg); err != nil {
		return d, err
	}
	d.Function = f.add(cfg, pkg, "updated")
	return d, nil
}

// Rollback activates.
func (f *Functions) Rollback(_ context.Context, name string, to deploy.Target) (d deploy.Deployed, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fn, err := f.find(name, to.IfRevision)
	if err != nil {
		return d, err
	}
	for _, v := range f.versions[name] {
		if v.Number == to.Number {
			if d.Warmed, err = warm(to.Warm, name, fn.Version.Number, v.Package); err != nil {
				return d, err
			}
			fn.Version = v
			fn.Revision++
			f.active[name] = fn
			d.Function = fn
			return d, nil
		}
	}
	return d, cove.Errorf(cove.CodeNotFound, "function %q has no version %d", name, to.Number)
}

// Delete removes.
func (f *Functions) Delete(_ context.Context, name string, rev int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.find(name, rev); err != nil {
		return err
	}
	delete(f.active, name)
	delete(f.versions, name)
	return nil
}

// SetDisabled counts as a change where it is one.
func (f *Functions) SetDisabled(_ context.Context, name string, disabled bool, rev int64) (cove.Function, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fn, err := f.find(name, rev)
	if err != nil || fn.Disabled == disabled {
		return fn, err
	}
	fn.Disabled, fn.Version.Disabled = disabled, disabled
	fn.Revision++
	f.active[name] = fn
	return fn, nil
}

// Files are one called main.py, with what was uploaded.
func (f *Functions) Files(ctx context.Context, name string, number int) (code.Files, error) {
	v, err := f.Version(ctx, name, number)
	if err != nil {
		return code.Files{}, err
	}
	if v.Package.SHA256 == "" {
		return code.Files{}, cove.Errorf(cove.CodeNoCode, "version %d of %s has no code", number, name)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return code.Files{Contents: map[string][]byte{"main.py": f.code[v.Package.SHA256]}}, nil
}

// Get is the function.
func (f *Functions) Get(_ context.Context, name string) (cove.Function, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.find(name, 0)
}

// List filters by everything in q.
func (f *Functions) List(_ context.Context, q deploy.Query) ([]cove.Function, int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []cove.Function
	for _, fn := range f.active {
		c := fn.Version.Config
		if (q.Runtime == "" || q.Runtime == c.Runtime) && (q.Isolation == "" || q.Isolation == c.Isolation) && strings.Contains(c.Name+c.Description+c.Route, q.Search) {
			all = append(all, fn)
		}
	}
	slices.SortFunc(all, func(a, b cove.Function) int { return strings.Compare(a.Name, b.Name) })
	total := len(all)
	all = slices.DeleteFunc(all, func(fn cove.Function) bool { return fn.Name <= q.After })
	return all[:min(len(all), q.Limit)], total, nil
}

// Versions are the newest first.
func (f *Functions) Versions(_ context.Context, name string) ([]cove.Version, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := f.find(name, 0)
	return slices.Clone(f.versions[name]), err
}

// Version is one.
func (f *Functions) Version(_ context.Context, name string, number int) (cove.Version, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, v := range f.versions[name] {
		if v.Number == number {
			return v, nil
		}
	}
	return cove.Version{}, cove.Errorf(cove.CodeNotFound, "function %q has no version %d", name, number)
}

// Archive is what was uploaded.
func (f *Functions) Archive(ctx context.Context, name string, number int) (io.ReadCloser, cove.Package, error) {
	v, err := f.Version(ctx, name, number)
	if err != nil {
		return nil, cove.Package{}, err
	}
	if v.Package.SHA256 == "" {
		return nil, cove.Package{}, cove.Errorf(cove.CodeNoCode, "function %q has no code yet", name)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return io.NopCloser(bytes.NewReader(f.code[v.Package.SHA256])), v.Package, nil
}

// Active is the version in use.
func (f *Functions) Active(name string) *cove.Version {
	f.mu.Lock()
	defer f.mu.Unlock()
	fn, ok := f.active[name]
	if !ok {
		return nil
	}
	return &fn.Version
}
