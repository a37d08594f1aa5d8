package oci_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/driver/drivertest"
	"github.com/covefn/cove/internal/driver/oci"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func subject(t testing.TB, isolation, binary string) drivertest.Subject {
	t.Helper()
	// Deeper than the address of a unix socket can be.
	data := filepath.Join(t.TempDir(), strings.Repeat("a long way/", 15))
	return drivertest.Subject{
		New: func(t testing.TB) driver.Driver {
			t.Helper()
			d, err := oci.New(oci.Options{
				Isolation: isolation, Binary: binary,
				StateDir: filepath.Join(data, "state"), RunDir: filepath.Join(data, "run"),
				Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
			})
			if err != nil {
				t.Fatal(err)
			}
			return d
		},
		Image: drivertest.PythonImage(t), Owner: fmt.Sprintf("t%d%s", os.Getpid()%100000, isolation), DataDir: data,
	}
}

func TestGVisor(t *testing.T) {
	drivertest.Run(t, func(t *testing.T) drivertest.Subject { return subject(t, oci.GVisor, drivertest.Runsc(t)) })
}

// BenchmarkGVisor and BenchmarkRunc measure what is in the path of a request.
//
//	go test -run - -bench 'GVisor|Runc' -benchtime 200x ./internal/driver/oci
func BenchmarkGVisor(b *testing.B) {
	s := subject(b, oci.GVisor, drivertest.Runsc(b))
	drivertest.BenchChanges(b, s, s.New(b))
}

func BenchmarkRunc(b *testing.B) {
	s := subject(b, oci.Runc, "")
	drivertest.BenchChanges(b, s, s.New(b))
}

func TestRunc(t *testing.T) {
	drivertest.Run(t, func(t *testing.T) drivertest.Subject { return subject(t, oci.Runc, "") })
}
