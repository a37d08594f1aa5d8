package image_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/covefn/cove/internal/image"
	"github.com/covefn/cove/internal/image/imagetest"
)

// in runs a program of the image as the user that functions run as.
func in(t *testing.T, root string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "chroot", append([]string{"--userspec=65532:65532", root}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestTheRuntimeImages(t *testing.T) {
	t.Parallel()

	t.Run("hold nothing that gives rights, and are of the recipes of this tree", func(t *testing.T) {
		t.Parallel()
		store := imagetest.Store(t)
		recipes, err := image.Recipes()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range recipes {
			root := imagetest.Image(t, r.Name).Root
			if img, err := store.Get(r.Name); err != nil || img.Recipe != r.Digest() {
				t.Errorf("%s is not up to date; run `make images`: %v", r.Name, err)
			}
			err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
				if err != nil {
					return err
				}
				info, err := d.Info()
				if err == nil && info.Mode()&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeDevice|fs.ModeNamedPipe) != 0 {
					t.Errorf("%s is %v", path, info.Mode())
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(filepath.Join(root, "usr/share/doc")); err == nil {
				t.Errorf("%s holds documents", r.Name)
			}
		}
	})

	t.Run("python3.13 has its whole library, compiled, and certificates and time zones", func(t *testing.T) {
		t.Parallel()
		out := in(t, imagetest.Image(t, "python3.13").Root, "/usr/bin/python3", "-B", "-c", `
import asyncio, bz2, ctypes, decimal, http.client, json, lzma, os, pwd, readline, sqlite3, ssl, xml.etree.ElementTree, zoneinfo
assert os.path.exists(json.__cached__), json.__cached__
assert json.decoder.__loader__.get_code("json.decoder") is not None
with open(json.__cached__, "rb") as f:
    assert f.read(8)[4:] == b"\1\0\0\0", "not an unchecked .pyc"
assert ssl.create_default_context().cert_store_stats()["x509_ca"] > 100
zoneinfo.ZoneInfo("Europe/Vienna")
print(pwd.getpwuid(os.getuid()).pw_name, pwd.getpwuid(os.getuid()).pw_dir)`)
		if out != "cove /tmp" {
			t.Errorf("it printed %q", out)
		}
	})

	t.Run("node26 runs, and knows time zones and languages", func(t *testing.T) {
		t.Parallel()
		out := in(t, imagetest.Image(t, "node26").Root, "/usr/local/bin/node", "-e", `
console.log(process.version.split(".")[0], require("os").userInfo().username,
  new Intl.DateTimeFormat("de-AT", {timeZone: "Europe/Vienna", dateStyle: "short"}).format(0))`)
		if out != "v26 cove 01.01.70" {
			t.Errorf("it printed %q", out)
		}
	})
}
