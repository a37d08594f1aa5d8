package oci_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/driver/drivertest"
	"github.com/covefn/cove/internal/driver/oci"
)

// A runsc that does not say that it stands being frozen again and again is not
// frozen but to be ended, and who asks is told why.
func TestAnotherRunscIsNotPaused(t *testing.T) {
	t.Parallel()
	other := filepath.Join(t.TempDir(), "runsc")
	text := fmt.Sprintf("#!/bin/sh\n[ \"$1\" = --version ] && echo runsc version theirs && exit\nexec %s \"$@\"\n", drivertest.Runsc(t))
	if err := os.WriteFile(other, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	for binary, pauses := range map[string]bool{other: false, drivertest.Runsc(t): true} {
		subject := subject(t, oci.GVisor, binary)
		d := subject.New(t)
		report := d.Probe(t.Context())
		said := slices.ContainsFunc(report.Notes, func(note string) bool { return strings.Contains(note, "not paused") })
		if !report.Available || slices.Contains(report.Features, driver.FeaturePause) != pauses || said == pauses {
			t.Errorf("the report on %s: %+v", binary, report)
		}
		created, err := d.Create(t.Context(), script(t, subject, fmt.Sprintf("steady-%v", pauses), "import time; time.sleep(60)"))
		if err != nil {
			t.Fatal(err)
		}
		s := driver.Guard(created)
		if f := s.Features(); slices.Contains(f, driver.FeaturePause) != pauses || !slices.Contains(f, driver.FeatureResize) || !slices.Contains(f, driver.FeatureMount) {
			t.Errorf("the sandbox of %s can %v", binary, f)
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if err := errors.Join(s.Destroy(t.Context(), "the test is over"), d.Close()); err != nil {
			t.Error(err)
		}
	}
}
