package image

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/covefn/cove"
)

// unpackAll applies layers to a root that lies beside a file "outside", and
// fails if that file or anything beside the root changes.
func unpackAll(t *testing.T, layers ...[]byte) (root string, err error) {
	t.Helper()
	dir := t.TempDir()
	root = filepath.Join(dir, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(dir, "outside")
	if err := os.WriteFile(outside, []byte("untouched"), 0o600); err != nil {
		t.Fatal(err)
	}
	u, err := newUnpacker(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, layer := range layers {
		if err = u.layer(t.Context(), bytes.NewReader(layer)); err != nil {
			break
		}
	}
	if err == nil {
		err = u.finish()
	} else {
		u.discard()
	}
	entries, _ := os.ReadDir(dir)
	info, statErr := os.Stat(outside)
	content, _ := os.ReadFile(outside)
	if len(entries) != 2 || statErr != nil || info.Mode().Perm() != 0o600 || string(content) != "untouched" {
		t.Fatalf("something outside the root changed: %v, %q, %v", entries, content, statErr)
	}
	return root, err
}

// tree is every path below root, with links as "path -> target".
func tree(t *testing.T, root string) []string {
	t.Helper()
	var paths []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		name, err := filepath.Rel(root, path)
		if d.Type() == fs.ModeSymlink {
			target, _ := os.Readlink(path)
			name += " -> " + target
		}
		paths = append(paths, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func TestUnpackPutsLayersOnTopOfEachOther(t *testing.T) {
	t.Parallel()
	opaque := whiteoutOpaque
	cases := map[string]struct {
		layers [][]tar.Header
		want   []string
	}{
		"directories that no entry names are made": {
			[][]tar.Header{{regular("a/b/c")}}, []string{"a", "a/b", "a/b/c"},
		},
		"a whiteout removes what lies below": {
			[][]tar.Header{{regular("a/b"), regular("a/c")}, {regular("a/.wh.b")}}, []string{"a", "a/c"},
		},
		"a whiteout of nothing does nothing": {
			[][]tar.Header{{regular("a")}, {regular("x/.wh.y")}}, []string{"a"},
		},
		"an opaque directory keeps only what its own layer has, whatever comes first": {
			[][]tar.Header{
				{regular("d/old"), regular("d/sub/old"), regular("d/gone/old")},
				{regular("d/new"), regular("d/sub/new"), regular("d/" + opaque)},
			},
			[]string{"d", "d/new", "d/sub", "d/sub/new"},
		},
		"a file takes the place of a directory, and a directory that of a file": {
			[][]tar.Header{{regular("a/b"), regular("c")}, {regular("a"), regular("c/d")}}, []string{"a", "c", "c/d"},
		},
		"a link takes the place of a directory": {
			[][]tar.Header{{regular("lib/x"), directory("usr/lib")}, {symlink("lib", "usr/lib"), regular("lib/y")}},
			[]string{"lib -> usr/lib", "usr", "usr/lib", "usr/lib/y"},
		},
		"an absolute link is followed inside the root": {
			[][]tar.Header{{directory("run"), symlink("var/run", "/run"), regular("var/run/pid")}},
			[]string{"run", "run/pid", "var", "var/run -> /run"},
		},
		"a file does not go through a link of its own name": {
			[][]tar.Header{{regular("a"), symlink("b", "a"), regular("b")}}, []string{"a", "b"},
		},
		"hard links, and hard links to links": {
			[][]tar.Header{{regular("a"), hardlink("b", "a"), symlink("s", "a"), hardlink("t", "/s"), hardlink("a", "a")}},
			[]string{"a", "b", "s -> a", "t -> a"},
		},
		"devices, pipes and the bookkeeping of storage drivers are left out": {
			[][]tar.Header{{
				{Name: "dev/sda", Typeflag: tar.TypeBlock}, {Name: "dev/null", Typeflag: tar.TypeChar},
				{Name: "pipe", Typeflag: tar.TypeFifo}, regular(".wh..wh.plnk"), regular("a"),
			}},
			[]string{"a", "dev"},
		},
		"a link may point to nowhere": {
			[][]tar.Header{{symlink("a", "../../../outside"), symlink("b", "/nowhere")}},
			[]string{"a -> ../../../outside", "b -> /nowhere"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var layers [][]byte
			for _, entries := range c.layers {
				layers = append(layers, layerOf(t, entries...))
			}
			root, err := unpackAll(t, layers...)
			if err != nil {
				t.Fatal(err)
			}
			if got := tree(t, root); !slices.Equal(got, c.want) {
				t.Errorf("there is %q, want %q", got, c.want)
			}
		})
	}
}

func TestUnpackNeverLeavesTheRoot(t *testing.T) {
	t.Parallel()
	up := "../../../../../../../../../../"
	cases := map[string][]tar.Header{
		"a name with ..":                             {regular("../outside")},
		"a name with .. in the middle":               {regular("a/../../outside")},
		"an absolute name with ..":                   {regular("/../outside")},
		"a whiteout with ..":                         {regular("../.wh.outside")},
		"a hard link to a name with ..":              {hardlink("a", "../outside")},
		"a hard link through a link that leaves":     {symlink("l", ".."), hardlink("a", "l/outside")},
		"a hard link to what is not there":           {hardlink("a", "/etc/shadow")},
		"a hard link to a directory":                 {directory("d"), hardlink("a", "d")},
		"links that lead in a circle":                {symlink("a", "b"), symlink("b", "a"), regular("a/x")},
		"links that multiply":                        {symlink("a", "b/b"), symlink("b", "a/a"), regular("a/x")},
		"a whiteout of .. ends in its own directory": {directory("a"), regular("a/.wh..."), hardlink("x", "nothing")},
		"a file through a link that leaves, and one that fails": {
			symlink("l", up+"outside"), regular("l"), symlink("m", up), regular("m/outside"), hardlink("x", "nothing"),
		},
	}
	for name, entries := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := unpackAll(t, layerOf(t, entries...))
			wantCode(t, err, cove.CodeInvalid)
		})
	}
}

func TestUnpackKeepsModesButNoRights(t *testing.T) {
	t.Parallel()
	root, err := unpackAll(t, layerOf(t,
		tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o700},
		tar.Header{Name: "su", Mode: 0o6755},
		tar.Header{Name: "tmp", Typeflag: tar.TypeDir, Mode: 0o3777},
		tar.Header{Name: "tmp/private", Mode: 0o640},
	))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{
		".": fs.ModeDir | 0o755, "su": 0o755, "tmp": fs.ModeDir | fs.ModeSticky | 0o777, "tmp/private": 0o640,
	} {
		info, err := os.Stat(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s is %v, want %v", name, info.Mode(), want)
		}
	}
}

// FuzzUnpack looks for a layer that changes something outside the root, hangs
// or panics.
func FuzzUnpack(f *testing.F) {
	t := &testing.T{}
	f.Add(layerOf(t, regular("a/b"), symlink("l", "/"), regular("l/x"), hardlink("h", "a/b"), regular("a/"+whiteoutOpaque)))
	f.Add(layerOf(t, symlink("l", "../.."), regular("l/.wh.outside"), directory("l")))
	f.Fuzz(func(t *testing.T, layer []byte) {
		if len(layer) > 1<<16 {
			return
		}
		_, _ = unpackAll(t, layer, layer)
	})
}
