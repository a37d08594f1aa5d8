package local_test

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/covefn/cove/internal/cli/local"
)

func TestTheNoteIsPrivateAndGoesAway(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	if _, err := local.Read(); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	forget, err := local.Leave("http://127.0.0.1:7070", "/data/admin.token")
	if err != nil {
		t.Fatal(err)
	}
	if s, err := local.Read(); err != nil || s.API != "http://127.0.0.1:7070" || s.TokenFile != "/data/admin.token" {
		t.Error(s, err)
	}
	path, err := local.Path()
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
	forget()
	if _, err := local.Read(); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
