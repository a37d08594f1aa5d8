package deploy

import (
	"context"

	"github.com/covefn/cove"
)

// SetDisabled implements Functions. Who is told of the change gets versions whose
// Disabled differs.
func (s *Service) SetDisabled(ctx context.Context, name string, disabled bool, ifRevision int64) (cove.Function, error) {
	if err := ctx.Err(); err != nil {
		return cove.Function{}, err
	}
	s.changes.Lock()
	defer s.changes.Unlock()
	old := s.function(name)
	if old == nil {
		return cove.Function{}, noFunction(name)
	}
	if err := checkRevision(old, ifRevision); err != nil {
		return cove.Function{}, err
	}
	if old.Disabled == disabled {
		return copyOf(old), nil
	}
	f, err := s.Store.SetDisabled(context.WithoutCancel(ctx), name, disabled, ifRevision)
	if err != nil {
		return cove.Function{}, err
	}
	return s.publish(old, &f)
}
