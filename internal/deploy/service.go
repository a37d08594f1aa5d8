package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/code"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/route"
	"github.com/covefn/cove/internal/runtime"
	"github.com/covefn/cove/internal/store"
)

// Options are what New needs. Store, Code, Routes and Runtimes must be set.
type Options struct {
	Store store.Functions
	Code  *code.Store
	// Routes is filled and kept right; nobody else may change it.
	Routes   *route.Table[*cove.Version]
	Runtimes *runtime.Catalogue
	// Isolations is what this host can run, which a function's isolation is
	// checked against when it is new to it. Nil accepts every name.
	Isolations func(ctx context.Context) []driver.Report
	// Isolation is what a function gets that names none; "" is gvisor.
	Isolation string
	Limits    Limits
	// Overhead is the memory that a sandbox of an isolation costs beside its
	// function, from memory. Nil is nothing.
	Overhead func(isolation string) cove.ByteSize
	// Prepare has instances of v load its code and holds them ready until release
	// is called, which is when v is the active version or will not be. It says how
	// many there are; after an error nothing is held. It ends when ctx does. Nil
	// prepares nothing.
	Prepare func(ctx context.Context, v *cove.Version) (ready int, release func(), err *cove.Error)
	// KeepVersions is how many versions of a function are kept; 0 means 50.
	KeepVersions int
	Log          *slog.Logger
}

// Service is the use case of changing functions. All that requests need is in
// memory; reading it takes no lock.
type Service struct {
	Options

	// changes is held from the check for conflicts over the write to the store
	// to the switch of what requests see, so that the three are one step and
	// come in one order. Receiving and unpacking code is done before.
	changes sync.Mutex
	// byName holds *cove.Function by name, and sorted all of them in the order
	// of names. What they point to is replaced and never changed.
	byName sync.Map
	sorted atomic.Pointer[[]*cove.Function]
	// listeners and grown belong to changes: who wants to know, and which
	// functions may have more versions than are kept.
	listeners map[int]func(old, new *cove.Version)
	nextID    int
	grown     map[string]bool
}

var _ Functions = (*Service)(nil)

// New loads every function and opens their routes. A function that cannot be
// served, because its route is not valid any more or its package is gone, is
// logged and does not keep the others from being served.
func New(ctx context.Context, o Options) (*Service, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.KeepVersions <= 0 {
		o.KeepVersions = 50
	}
	if o.Isolation == "" {
		o.Isolation = "gvisor"
	}
	if o.Overhead == nil {
		o.Overhead = func(string) cove.ByteSize { return 0 }
	}
	o.Limits = o.Limits.withDefaults()
	o.Store = completing{o.Store}
	s := &Service{Options: o, listeners: map[int]func(old, new *cove.Version){}, grown: map[string]bool{}}
	all, err := o.Store.AllFunctions(ctx)
	if err != nil {
		return nil, fmt.Errorf("load the functions: %w", err)
	}
	sorted := make([]*cove.Function, len(all))
	for i := range all {
		f := &all[i]
		f.Version.Disabled = f.Disabled
		sorted[i] = f
		s.byName.Store(f.Name, f)
		s.noteGrowth(f)
		if err := s.openRoute(f); err != nil {
			o.Log.Error("the route of a function could not be opened; it can only be invoked by the API",
				"function", f.Name, "route", f.Version.Config.Route, "error", err)
		}
		if p := f.Version.Package; p != (cove.Package{}) && !o.Code.Present(p) {
			o.Log.Error("the code of a function is missing from the data directory; deploy it again",
				"function", f.Name, "version", f.Version.Number, "package", p.SHA256)
		}
	}
	s.sorted.Store(&sorted)
	return s, nil
}

// Subscribe has changed called for every switch of an active version, after it
// is on disk and before the call that made it returns. old is nil for a new
// function and now for a deleted one; a function that was disabled or enabled has
// the same version in both, which differs in Disabled only. The calls come one at a time, in order;
// changed must be quick and must not change functions itself.
func (s *Service) Subscribe(changed func(old, now *cove.Version)) (cancel func()) {
	s.changes.Lock()
	defer s.changes.Unlock()
	id := s.nextID
	s.nextID++
	s.listeners[id] = changed
	return func() {
		s.changes.Lock()
		defer s.changes.Unlock()
		delete(s.listeners, id)
	}
}

// Active implements Functions.
func (s *Service) Active(name string) *cove.Version {
	if f := s.function(name); f != nil {
		return &f.Version
	}
	return nil
}

func (s *Service) function(name string) *cove.Function {
	f, ok := s.byName.Load(name)
	if !ok {
		return nil
	}
	return f.(*cove.Function)
}

// plan is the version that c asks for, by what is active now.
func (s *Service) plan(name string, create bool, c Change, reports []driver.Report) (cove.Version, error) {
	return s.planOn(s.function(name), name, create, c, reports)
}

// planOn is the version that c makes of old, nil for a function that is not
// there.
func (s *Service) planOn(old *cove.Function, name string, create bool, c Change, reports []driver.Report) (cove.Version, error) {
	switch {
	case create && old != nil:
		return cove.Version{}, taken(name)
	case !create && old == nil:
		return cove.Version{}, noFunction(name)
	case !create:
		if err := checkRevision(old, c.IfRevision); err != nil {
			return cove.Version{}, err
		}
	}
	v := cove.Version{Function: name}
	if old != nil {
		v.Config, v.Package = clone(old.Version.Config), old.Version.Package
	}
	if c.Config == nil {
		return v, nil
	}
	check := checker{
		limits: s.Limits, runtimes: s.Runtimes, isolation: s.Isolation, reports: reports, overhead: s.Overhead,
		reserved: func() cove.ByteSize { return s.reservedByOthers(name) },
	}
	if old != nil {
		check.old = &old.Version.Config
	}
	cfg, err := check.run(name, clone(*c.Config))
	v.Config = cfg
	return v, err
}

// reservedByOthers is the memory that functions other than name have reserved.
func (s *Service) reservedByOthers(name string) (sum cove.ByteSize) {
	for _, f := range *s.sorted.Load() {
		if f.Name != name {
			sum += reservationOf(&f.Version.Config, s.Overhead)
		}
	}
	return sum
}

// Delete implements Functions.
func (s *Service) Delete(ctx context.Context, name string, ifRevision int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.changes.Lock()
	defer s.changes.Unlock()
	old := s.function(name)
	if old == nil {
		return noFunction(name)
	}
	if err := checkRevision(old, ifRevision); err != nil {
		return err
	}
	if err := s.Store.DeleteFunction(context.WithoutCancel(ctx), name, ifRevision); err != nil {
		return err
	}
	s.Routes.Remove(name)
	s.byName.Delete(name)
	s.resort(name, nil)
	delete(s.grown, name)
	s.tell(&old.Version, nil)
	return nil
}

// publish makes f what requests are given. changes is held.
func (s *Service) publish(old, f *cove.Function) (cove.Function, error) {
	f.Version.Disabled = f.Disabled
	s.byName.Store(f.Name, f)
	s.resort(f.Name, f)
	s.noteGrowth(f)
	routeErr := s.openRoute(f)
	var before *cove.Version
	if old != nil {
		before = &old.Version
	}
	s.tell(before, &f.Version)
	if routeErr != nil { // It was checked under the same lock.
		return cove.Function{}, &cove.Error{Code: cove.CodeInternal, Message: "the version is kept, but its route could not be opened", Err: routeErr}
	}
	return copyOf(f), nil
}

// noteGrowth has the sweeper look at f if it can have more versions than are
// kept: their numbers count from 1.
func (s *Service) noteGrowth(f *cove.Function) {
	if f.Version.Number > s.KeepVersions {
		s.grown[f.Name] = true
	}
}

func (s *Service) tell(old, now *cove.Version) {
	for _, changed := range s.listeners {
		changed(old, now)
	}
}

// openRoute gives f the route of its active version instead of what it had.
func (s *Service) openRoute(f *cove.Function) error {
	cfg := f.Version.Config
	if cfg.Route == "" {
		s.Routes.Remove(f.Name)
		return nil
	}
	p, err := route.Parse(cfg.Route)
	if err != nil {
		return err
	}
	return s.Routes.Set(f.Name, p, cfg.Methods, &f.Version)
}

func (s *Service) checkRoute(v cove.Version) error {
	if v.Config.Route == "" {
		return nil
	}
	p, err := route.Parse(v.Config.Route)
	if err != nil {
		return err
	}
	return s.Routes.Check(v.Function, p, v.Config.Methods)
}

// checkReservation refuses a rollback that would reserve more memory than there
// is now.
func (s *Service) checkReservation(old *cove.Function, v cove.Version) error {
	check := checker{
		limits: s.Limits, overhead: s.Overhead, old: &old.Version.Config,
		reserved: func() cove.ByteSize { return s.reservedByOthers(v.Function) },
	}
	if check.reservation(&v.Config); check.wrong != nil {
		e := cove.InvalidFields(check.wrong)
		e.Code = cove.CodeConflict
		return e
	}
	return nil
}

// checkHandler refuses a package without the file that the handler is in.
func (s *Service) checkHandler(v cove.Version) error {
	if v.Package == (cove.Package{}) {
		return nil
	}
	rt, ok := s.Runtimes.Lookup(v.Config.Runtime)
	if !ok {
		return cove.Invalid("runtime", "this Cove does not have %q any more", v.Config.Runtime)
	}
	_, err := rt.HandlerFile(v.Config.Handler, func(path string) bool { return s.Code.Exists(v.Package, path) })
	if err == nil {
		return nil
	}
	if !errors.Is(err, runtime.ErrNoHandlerFile) {
		return cove.Invalid("handler", "%v", err)
	}
	files, more, listErr := s.Code.List(v.Package, 10)
	if listErr != nil {
		return listErr
	}
	hint := "; it holds " + strings.Join(files, ", ")
	if more {
		hint += " and more"
	}
	if dir, _, ok := strings.Cut(files[0], "/"); ok {
		_, below := rt.HandlerFile(v.Config.Handler, func(path string) bool { return s.Code.Exists(v.Package, dir+"/"+path) })
		if below == nil {
			hint = fmt.Sprintf("; it is one directory down, in %s/: pack what is in that directory, not the directory itself", dir)
		}
	}
	return cove.Invalid("handler", "%v%s", err, hint)
}

func checkRevision(f *cove.Function, want int64) error {
	if want == 0 || want == f.Revision {
		return nil
	}
	return cove.Errorf(cove.CodePreconditionFailed,
		"the function %q is at revision %d, not %d: somebody changed it meanwhile; read it again", f.Name, f.Revision, want)
}

func noFunction(name string) error {
	return cove.Errorf(cove.CodeNotFound, "there is no function %q", name)
}

func taken(name string) error {
	e := cove.Errorf(cove.CodeConflict, "there is a function %q already: update it, or choose another name", name)
	e.Fields = []cove.FieldError{{Field: "name", Message: "is taken"}}
	return e
}

// Archive implements Functions.
func (s *Service) Archive(ctx context.Context, name string, number int) (io.ReadCloser, cove.Package, error) {
	v, err := s.Version(ctx, name, number)
	if err != nil {
		return nil, cove.Package{}, err
	}
	if v.Package == (cove.Package{}) {
		return nil, cove.Package{}, cove.Errorf(cove.CodeNoCode, "version %d of %s has no code", number, name)
	}
	r, err := s.Code.Open(v.Package)
	return r, v.Package, err
}
