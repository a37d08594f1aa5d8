package deploy

import (
	"context"
	"crypto/rand"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/code"
	"github.com/covefn/cove/internal/driver"
)

// warmAttempts is how often a version is made ready anew because the function was
// changed meanwhile.
const warmAttempts = 5

// Create implements Functions.
func (s *Service) Create(ctx context.Context, c Change) (Deployed, error) {
	if c.Config == nil {
		return Deployed{}, cove.Invalid("name", "is missing")
	}
	if s.function(c.Config.Name) != nil {
		return Deployed{}, taken(c.Config.Name)
	}
	return s.change(ctx, order{Change: c, name: c.Config.Name, create: true})
}

// Update implements Functions.
func (s *Service) Update(ctx context.Context, name string, c Change) (Deployed, error) {
	return s.change(ctx, order{Change: c, name: name})
}

// order is a change with all that is known of it.
type order struct {
	Change
	name   string
	create bool
	// pkg is the package of Code, once it is received; reports is what the host
	// can run.
	pkg     *cove.Package
	reports []driver.Report
}

// change makes a version. What can be refused without the code is refused
// before it is received, and checked again under the lock, where it counts.
func (s *Service) change(ctx context.Context, o order) (Deployed, error) {
	if s.Isolations != nil && o.Config != nil {
		o.reports = s.Isolations(ctx)
	}
	if _, err := s.plan(o.name, o.create, o.Change, o.reports); err != nil {
		return Deployed{}, err
	}
	release, err := s.receive(ctx, &o)
	if err != nil {
		return Deployed{}, err
	}
	// Once the version is kept, it holds the package.
	defer release()
	if err := ctx.Err(); err != nil {
		return Deployed{}, err
	}
	if o.Warm && s.Prepare != nil {
		return s.changeWarm(ctx, o)
	}
	s.changes.Lock()
	defer s.changes.Unlock()
	old := s.function(o.name)
	v, err := s.compose(old, o)
	if err != nil || v == nil {
		return unchanged(old, err)
	}
	// From here on the caller's leaving changes nothing: it takes
	// milliseconds, and half a change would be worse.
	return s.commit(context.WithoutCancel(ctx), old, *v, o.IfRevision, nil)
}

// receive keeps the package that o brings, if it brings one, and holds it until
// release is called.
func (s *Service) receive(ctx context.Context, o *order) (release func(), err error) {
	var added cove.Package
	switch {
	case o.Edits != nil:
		base := s.function(o.name)
		if base == nil {
			return nil, noFunction(o.name)
		}
		if base.Version.Package == (cove.Package{}) {
			return nil, cove.Errorf(cove.CodeNoCode, "%s has no code that could be edited", o.name)
		}
		if o.IfRevision == 0 {
			o.IfRevision = base.Revision // What is edited must still be what is active.
		}
		added, release, err = s.Code.Patch(ctx, base.Version.Package, o.Edits)
	case o.Code.Archive != nil || o.Code.Files != nil:
		added, release, err = s.Code.Add(ctx, code.Source(o.Code))
	default:
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	o.pkg = &added
	return release, nil
}

// changeWarm makes a version ready before it becomes the active one. That may
// take long, so nothing is locked meanwhile: if the function was changed by then,
// what was made ready may not be what should become active, and it is begun anew.
func (s *Service) changeWarm(ctx context.Context, o order) (Deployed, error) {
	for range warmAttempts {
		old := s.function(o.name)
		v, err := s.compose(old, o)
		if err != nil || v == nil {
			return unchanged(old, err)
		}
		d, done, err := s.tryWarm(ctx, old, *v, o.IfRevision)
		if done || err != nil {
			return d, err
		}
	}
	return Deployed{}, cove.Errorf(cove.CodePreconditionFailed,
		"the function %q was changed each of %d times while the new version was made ready: nothing was changed; try again", o.name, warmAttempts)
}

// tryWarm makes v ready and then the active version, unless the function is not
// old any more: then it is not done.
func (s *Service) tryWarm(ctx context.Context, old *cove.Function, v cove.Version, ifRevision int64) (_ Deployed, done bool, err error) {
	v.Number = 1
	if old != nil {
		if v.Number, err = s.Store.NextNumber(ctx, v.Function); err != nil {
			return Deployed{}, false, err
		}
	}
	warmed, release, err := s.prepare(ctx, old, &v)
	if err != nil {
		return Deployed{}, false, err
	}
	defer release()
	s.changes.Lock()
	defer s.changes.Unlock()
	if s.function(v.Function) != old {
		return Deployed{}, false, nil
	}
	if err := s.checkRoute(v); err != nil { // Another function may have taken it.
		return Deployed{}, false, err
	}
	d, err := s.commit(context.WithoutCancel(ctx), old, v, ifRevision, warmed)
	return d, true, err
}

// prepare has v loaded. What only this host lacks at the moment, memory or an
// image, does not keep v from becoming active, as it does not without warming up;
// what the function itself does wrong does, and so does all else.
func (s *Service) prepare(ctx context.Context, old *cove.Function, v *cove.Version) (*Warmed, func(), error) {
	if s.Prepare == nil || v.Package == (cove.Package{}) {
		return nil, func() {}, nil
	}
	began := time.Now()
	ready, release, failed := s.Prepare(ctx, v)
	switch err := ctx.Err(); {
	case failed == nil && err == nil:
		return &Warmed{Ready: ready, Took: time.Since(began)}, release, nil
	case failed == nil:
		release()
		return nil, nil, err
	case err != nil:
		return nil, nil, err
	case failed.Code == cove.CodeUnavailable || failed.Code == cove.CodeOverloaded:
		return &Warmed{Took: time.Since(began), Note: failed.Message}, func() {}, nil
	}
	e := *failed
	if old == nil {
		e.Message = "not deployed: " + failed.Message
	} else {
		e.Message = fmt.Sprintf("not deployed, version %d goes on: %s", old.Version.Number, failed.Message)
	}
	return nil, nil, &e
}

// unchanged is old as the result of a change that changed nothing, or err.
func unchanged(old *cove.Function, err error) (Deployed, error) {
	if err != nil {
		return Deployed{}, err
	}
	return Deployed{Function: copyOf(old)}, nil
}

// compose is the version that o makes of old, with everything but its number;
// nil if that is what old has.
func (s *Service) compose(old *cove.Function, o order) (*cove.Version, error) {
	v, err := s.planOn(old, o.name, o.create, o.Change, o.reports)
	if err != nil {
		return nil, err
	}
	if o.pkg != nil {
		v.Package = *o.pkg
	}
	v.Note = "created"
	if old != nil {
		if v.Note = difference(old.Version, v); v.Note == "" {
			return nil, nil
		}
	}
	if err := s.checkHandler(v); err != nil {
		return nil, err
	}
	if err := s.checkRoute(v); err != nil {
		return nil, err
	}
	v.ID, v.Created = strings.ToLower(rand.Text()), time.Now().UTC()
	return &v, nil
}

// commit makes v final. changes is held.
func (s *Service) commit(ctx context.Context, old *cove.Function, v cove.Version, ifRevision int64, warmed *Warmed) (Deployed, error) {
	var f cove.Function
	var err error
	if old == nil {
		f, err = s.Store.CreateFunction(ctx, v)
	} else {
		f, err = s.Store.AddVersion(ctx, v, ifRevision)
	}
	if err != nil {
		return Deployed{}, err
	}
	// What f is stays where it is now: it is what requests are given.
	published, err := s.publish(old, &f)
	return Deployed{Function: published, Warmed: warmed, Note: s.note(old, &v)}, err
}

// note tells of v that it has variables which keep it from the stem cells, where
// old had not the same.
func (s *Service) note(old *cove.Function, v *cove.Version) string {
	early := s.early(&v.Config)
	if len(early) == 0 || old != nil && slices.Equal(early, s.early(&old.Version.Config)) {
		return ""
	}
	read := " is read when the language starts"
	if len(early) > 1 {
		read = " are read when the language starts"
	}
	return strings.Join(early, ", ") + read + ": the function starts without a stem cell, which takes longer"
}

// early is the names of the variables of cfg without which its language cannot
// start.
func (s *Service) early(cfg *cove.Config) []string {
	rt, _ := s.Runtimes.Lookup(cfg.Runtime)
	return rt.Early(cfg.Env)
}

// difference says what a new version changes; "" for nothing.
func difference(old, v cove.Version) string {
	config := !reflect.DeepEqual(old.Config, v.Config)
	switch code := old.Package != v.Package; {
	case code && config:
		return "code and config"
	case code:
		return "code"
	case config:
		return "config"
	}
	return ""
}

// Rollback implements Functions. Activating what is active changes nothing.
func (s *Service) Rollback(ctx context.Context, name string, to Target) (Deployed, error) {
	if err := ctx.Err(); err != nil {
		return Deployed{}, err
	}
	var warmed *Warmed
	if old := s.function(name); to.Warm && old != nil && old.Version.Number != to.Number {
		v, err := s.target(ctx, old, to)
		if err != nil {
			return Deployed{}, err
		}
		var release func()
		if warmed, release, err = s.prepare(ctx, old, &v); err != nil {
			return Deployed{}, err
		}
		defer release()
	}
	ctx = context.WithoutCancel(ctx)
	s.changes.Lock()
	defer s.changes.Unlock()
	old := s.function(name)
	if old == nil {
		return Deployed{}, noFunction(name)
	}
	if err := checkRevision(old, to.IfRevision); err != nil {
		return Deployed{}, err
	}
	if old.Version.Number == to.Number {
		return unchanged(old, nil)
	}
	v, err := s.target(ctx, old, to)
	if err != nil {
		return Deployed{}, err
	}
	f, err := s.Store.Activate(ctx, name, to.Number, to.IfRevision)
	if err != nil {
		return Deployed{}, err
	}
	// What f is stays where it is now: it is what requests are given.
	published, err := s.publish(old, &f)
	return Deployed{Function: published, Warmed: warmed, Note: s.note(old, &v)}, err
}

// target is the version to go back to, if that can be served.
func (s *Service) target(ctx context.Context, old *cove.Function, to Target) (cove.Version, error) {
	if err := checkRevision(old, to.IfRevision); err != nil {
		return cove.Version{}, err
	}
	v, err := s.Store.Version(ctx, old.Name, to.Number)
	if err != nil {
		return cove.Version{}, err
	}
	if v.Package != (cove.Package{}) && !s.Code.Present(v.Package) {
		return v, cove.Errorf(cove.CodeConflict, "the code of version %d is missing from the data directory: deploy it again", to.Number)
	}
	if _, ok := s.Runtimes.Lookup(v.Config.Runtime); !ok {
		return v, cove.Errorf(cove.CodeConflict, "version %d needs the runtime %s, which this Cove does not have", to.Number, v.Config.Runtime)
	}
	if err := s.checkRoute(v); err != nil {
		return v, err
	}
	return v, s.checkReservation(old, v)
}
