package code

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/covefn/cove"
)

// fuzzAdd checks what must hold for any input: an error keeps nothing, and
// what is kept stays within its directory.
func fuzzAdd(t *testing.T, data []byte) {
	s := setup(t, small())
	pkg, release, err := s.Add(t.Context(), Source{Archive: bytes.NewReader(data)})
	if err != nil {
		if code := cove.CodeOf(err); code != cove.CodeInvalid && code != cove.CodeTooLarge {
			t.Errorf("the error is of code %s: %v", code, err)
		}
		wantNothing(t, s)
		return
	}
	release()
	root := s.Dir(pkg)
	files, size := 0, int64(0)
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		real, err := filepath.EvalSymlinks(path)
		if err != nil || real != root && !strings.HasPrefix(real, root+"/") {
			t.Errorf("%q leads to %q: %v", path, real, err)
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		switch mode := info.Mode(); {
		case mode.IsRegular() && (mode == 0o444 || mode == 0o555):
			size += info.Size()
		case mode.Type() == fs.ModeSymlink:
		default:
			t.Errorf("%q has mode %v", path, mode)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if files != pkg.Files || pkg.Unpacked > size || pkg.Unpacked > int64(s.limits.Unpacked) || files > s.limits.Files {
		t.Errorf("got %+v for %d files of %d bytes", pkg, files, size)
	}
	if tmp, _ := os.ReadDir(filepath.Join(s.dir, "tmp")); len(tmp) != 0 {
		t.Errorf("left in tmp: %v", tmp)
	}
}

func seeds(f *testing.F) [][]entry {
	f.Helper()
	return [][]entry{
		{file("main.py")},
		{dir("d"), file("d/f"), link("l", "d/f"), link("d/up", "..")},
		{file("../x"), file("/x")},
		{file("a"), link("l", "../a"), link("m", "l")},
		{{name: "run", kind: tar.TypeReg, body: strings.Repeat("x", 3000), mode: 0o6755}},
	}
}

func FuzzZip(f *testing.F) {
	for _, entries := range seeds(f) {
		f.Add(zipfile(f, entries...))
	}
	f.Fuzz(fuzzAdd)
}

// FuzzTar fuzzes what is inside the gzip, which its checksum would keep from
// being reached.
func FuzzTar(f *testing.F) {
	for _, entries := range append(seeds(f), []entry{file("a"), hard("h", "a"), hard("i", "../a")}) {
		zr, err := gunzip(tarball(f, entries...))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(zr)
	}
	f.Fuzz(func(t *testing.T, raw []byte) { fuzzAdd(t, gzipped(raw)) })
}

func gunzip(data []byte) ([]byte, error) {
	zr, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(zr)
}

func gzipped(raw []byte) []byte {
	var buf bytes.Buffer
	zw := gzip.NewWriter(&buf)
	_, _ = zw.Write(raw) // A buffer takes everything.
	_ = zw.Close()
	return buf.Bytes()
}
