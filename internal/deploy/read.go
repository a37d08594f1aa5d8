package deploy

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/code"
)

// The length of a page of List.
const (
	defaultPage = 100
	maxPage     = 1000
)

// Get implements Functions.
func (s *Service) Get(_ context.Context, name string) (cove.Function, error) {
	f := s.function(name)
	if f == nil {
		return cove.Function{}, noFunction(name)
	}
	return copyOf(f), nil
}

// List implements Functions. It answers from memory.
func (s *Service) List(_ context.Context, q Query) (page []cove.Function, total int, err error) {
	switch {
	case q.Limit < 0 || q.Limit > maxPage:
		return nil, 0, cove.Invalid("limit", "must be from 1 to %d", maxPage)
	case q.Limit == 0:
		q.Limit = defaultPage
	}
	if rt, ok := s.Runtimes.Lookup(q.Runtime); ok {
		q.Runtime = rt.Name
	}
	q.Search = strings.ToLower(strings.TrimSpace(q.Search))
	page = []cove.Function{}
	for _, f := range *s.sorted.Load() {
		if !q.matches(f) {
			continue
		}
		total++
		if f.Name > q.After && len(page) < q.Limit {
			page = append(page, copyOf(f))
		}
	}
	return page, total, nil
}

func (q Query) matches(f *cove.Function) bool {
	cfg := &f.Version.Config
	return (q.Runtime == "" || q.Runtime == cfg.Runtime) &&
		(q.Isolation == "" || q.Isolation == cfg.Isolation) &&
		(q.Search == "" || strings.Contains(f.Name, q.Search) ||
			strings.Contains(strings.ToLower(cfg.Description), q.Search) ||
			strings.Contains(strings.ToLower(cfg.Route), q.Search))
}

// Versions implements Functions.
func (s *Service) Versions(ctx context.Context, name string) ([]cove.Version, error) {
	return s.Store.Versions(ctx, name)
}

// Version implements Functions.
func (s *Service) Version(ctx context.Context, name string, number int) (cove.Version, error) {
	if f := s.function(name); f == nil {
		return cove.Version{}, noFunction(name)
	} else if f.Version.Number == number {
		return copyOf(f).Version, nil
	}
	return s.Store.Version(ctx, name, number)
}

// resort puts f, nil for none, where the function of that name was in the
// sorted list. The list is copied, because readers may be on the old one.
func (s *Service) resort(name string, f *cove.Function) {
	old := *s.sorted.Load()
	i, found := slices.BinarySearchFunc(old, name, func(f *cove.Function, name string) int { return strings.Compare(f.Name, name) })
	sorted := make([]*cove.Function, 0, len(old)+1)
	sorted = append(sorted, old[:i]...)
	if f != nil {
		sorted = append(sorted, f)
	}
	if found {
		i++
	}
	sorted = append(sorted, old[i:]...)
	s.sorted.Store(&sorted)
}

// copyOf is f for a caller who may change it.
func copyOf(f *cove.Function) cove.Function {
	c := *f
	c.Version.Config = clone(c.Version.Config)
	return c
}

func clone(cfg cove.Config) cove.Config {
	cfg.Methods, cfg.Env = slices.Clone(cfg.Methods), maps.Clone(cfg.Env)
	if cfg.CORS != nil {
		c := *cfg.CORS
		c.Origins, c.Methods = slices.Clone(c.Origins), slices.Clone(c.Methods)
		c.Headers, c.ExposeHeaders = slices.Clone(c.Headers), slices.Clone(c.ExposeHeaders)
		cfg.CORS = &c
	}
	return cfg
}

// Files implements Functions.
func (s *Service) Files(ctx context.Context, name string, number int) (code.Files, error) {
	v, err := s.Version(ctx, name, number)
	if err != nil {
		return code.Files{}, err
	}
	if v.Package == (cove.Package{}) {
		return code.Files{}, cove.Errorf(cove.CodeNoCode, "version %d of %s has no code", number, name)
	}
	return s.Code.Files(ctx, v.Package)
}
