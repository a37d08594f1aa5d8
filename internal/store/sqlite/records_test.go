package sqlite_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/covefn/cove/internal/store"
	"github.com/covefn/cove/internal/store/sqlite"
	"github.com/covefn/cove/internal/store/storetest"
)

func openRecords(t *testing.T) store.Records {
	t.Helper()
	path := filepath.Join(t.TempDir(), "records ?#%.db")
	r, err := sqlite.OpenRecords(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v, %v", info.Mode(), err)
	}
	if r.RecordBytes() == 0 {
		t.Error("it takes nothing on disk")
	}
	return r
}

func TestRecords(t *testing.T) {
	t.Parallel()
	storetest.RunRecords(t, openRecords)
}
