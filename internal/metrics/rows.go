package metrics

import (
	"context"
	"time"

	"github.com/covefn/cove/internal/store"
)

// rows are the roll-ups that are being added to, and those of them that are not
// written yet. No step goes over all of them, so that writing, and every question,
// which writes first, takes as long as what there is to write, however much else
// is remembered. It is not safe for concurrent use.
type rows struct {
	// young are those that were used since turned, old those that were used in the
	// span before that, and not since.
	young, old map[rowKey]*row
	turned     time.Time
	changed    []*row
}

type rowKey struct {
	series     store.Series
	resolution store.Resolution
	time       int64
}

// row is one roll-up as it stands.
type row struct {
	key  rowKey
	what aggregate
	// changed says that it is among those that are not written yet.
	changed bool
}

func newRows(now time.Time) *rows {
	return &rows{young: map[rowKey]*row{}, turned: now}
}

// find is the row of key, nil if it is not remembered.
func (s *rows) find(key rowKey) *row {
	if u := s.young[key]; u != nil {
		return u
	}
	u := s.old[key]
	if u != nil {
		delete(s.old, key)
		s.young[key] = u
	}
	return u
}

// put remembers u.
func (s *rows) put(u *row) { s.young[u.key] = u }

// add adds what to u, which is to be written then.
func (s *rows) add(u *row, what *aggregate) {
	u.what.merge(what)
	if !u.changed {
		u.changed = true
		s.changed = append(s.changed, u)
	}
}

// rollups are those that are not written yet.
func (s *rows) rollups() []store.Rollup {
	out := make([]store.Rollup, len(s.changed))
	for i, u := range s.changed {
		out[i] = store.Rollup{Series: u.key.series, Resolution: u.key.resolution, Time: u.key.time, Data: u.what.encode()}
	}
	return out
}

// saved says that all of rollups is written. Only then is anything forgotten, since
// what is not written is nowhere else: a row that was not used for forgetAfter,
// and before twice that is over.
func (s *rows) saved(now time.Time) {
	for _, u := range s.changed {
		u.changed = false
	}
	clear(s.changed)
	s.changed = s.changed[:0]
	if now.Sub(s.turned) > forgetAfter {
		s.old, s.young, s.turned = s.young, map[rowKey]*row{}, now
	}
}

// apply adds d to its series' roll-ups, and to those of the whole system.
func (r *Recorder) apply(ctx context.Context, d delta) error {
	targets := []store.Series{d.series}
	if d.series.Function != "" && d.series.Version > 0 {
		targets = append(targets, store.Series{Isolation: d.series.Isolation})
	}
	var all []*row
	for _, s := range targets {
		for _, resolution := range store.Resolutions {
			u, err := r.row(ctx, rowKey{s, resolution, floor(d.minute, span(resolution))})
			if err != nil {
				return err
			}
			all = append(all, u)
		}
	}
	// Only when all are there: it must not be added to some of them twice.
	for _, u := range all {
		r.rows.add(u, d.what)
	}
	return nil
}

// row is a roll-up as it stands, read if it is not in memory.
func (r *Recorder) row(ctx context.Context, key rowKey) (*row, error) {
	if u := r.rows.find(key); u != nil {
		return u, nil
	}
	data, err := r.records.Rollup(ctx, key.series, key.resolution, key.time)
	if err != nil {
		return nil, err
	}
	u := &row{key: key}
	if data != nil {
		if err := u.what.mergeData(data); err != nil {
			// What cannot be read cannot be added to: it begins anew.
			r.log.Error("a roll-up cannot be read and begins anew", "function", key.series.Function, "error", err)
			u.what = aggregate{}
		}
	}
	r.rows.put(u)
	return u, nil
}

// save writes the records that were cut off and the roll-ups that have changed.
func (r *Recorder) save(ctx context.Context, now time.Time) error {
	if err := r.records.SaveRecords(ctx, r.unsaved, r.rows.rollups()); err != nil {
		return err
	}
	r.kept.Add(int64(len(r.unsaved)))
	clear(r.unsaved) // Lets go of the strings.
	r.unsaved = r.unsaved[:0]
	r.rows.saved(now)
	return nil
}
