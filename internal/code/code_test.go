package code

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/covefn/cove"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// small keeps the archives of the tests small.
func small() Limits {
	return Limits{Archive: 64 * cove.KiB, Unpacked: 256 * cove.KiB, Files: 20, Path: 100, Depth: 5}
}

func setup(t testing.TB, limits Limits) *Store {
	t.Helper()
	s, err := New(filepath.Join(t.TempDir(), "data"), limits, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// entry is a file of a test archive; kind is a type flag of tar.
type entry struct {
	name string
	kind byte
	body string
	mode int64
	pax  map[string]string
}

func file(name string) entry         { return entry{name: name, kind: tar.TypeReg, body: "x"} }
func dir(name string) entry          { return entry{name: name, kind: tar.TypeDir} }
func link(name, target string) entry { return entry{name: name, kind: tar.TypeSymlink, body: target} }
func hard(name, target string) entry { return entry{name: name, kind: tar.TypeLink, body: target} }
func device(name string, kind byte) entry {
	return entry{name: name, kind: kind}
}

var stamp = time.Date(2024, 5, 6, 7, 8, 10, 0, time.UTC)

func tarball(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var buf bytes.Buffer
	zw := gzip.NewWriter(&buf)
	tw := tar.NewWriter(zw)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Mode: e.mode | 0o644, ModTime: stamp, PAXRecords: e.pax}
		if e.kind == tar.TypeReg {
			h.Size = int64(len(e.body))
		} else {
			h.Linkname = e.body
		}
		if e.kind == tar.TypeXGlobalHeader {
			h = &tar.Header{Name: e.name, Typeflag: e.kind, PAXRecords: e.pax}
		}
		if err := tw.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if e.kind == tar.TypeReg {
			if _, err := io.WriteString(tw, e.body); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(tw.Close(), zw.Close()); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func zipfile(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var buf bytes.Buffer
	zw := zip.NewWriter(&buf)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: stamp}
		mode := fs.FileMode(e.mode&0o777) | 0o644
		switch e.kind {
		case tar.TypeSymlink:
			mode |= fs.ModeSymlink
		case tar.TypeDir:
			mode |= fs.ModeDir
			h.Name += "/"
		case tar.TypeChar:
			mode |= fs.ModeDevice | fs.ModeCharDevice
		case tar.TypeFifo:
			mode |= fs.ModeNamedPipe
		}
		h.SetMode(mode)
		w, err := zw.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func add(t testing.TB, s *Store, archive []byte, format string) cove.Package {
	t.Helper()
	pkg, release, err := s.Add(t.Context(), Source{Archive: bytes.NewReader(archive), Format: format})
	if err != nil {
		t.Fatal(err)
	}
	release()
	return pkg
}

// kept is every path that the store's directory holds.
func kept(t testing.TB, s *Store) []string {
	t.Helper()
	var paths []string
	err := filepath.WalkDir(s.dir, func(path string, _ fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(s.dir, path)
		paths = append(paths, rel)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

var nothing = []string{".", "code", "packages", "tmp"}

func wantNothing(t testing.TB, s *Store) {
	t.Helper()
	if got := kept(t, s); !slices.Equal(got, nothing) {
		t.Errorf("kept %q", got)
	}
	if up, _ := os.ReadDir(filepath.Dir(s.dir)); len(up) != 1 {
		t.Errorf("beside the store's directory there is %v", up)
	}
}

func wantRefused(t *testing.T, s *Store, src Source, code cove.Code, mentions ...string) {
	t.Helper()
	_, _, err := s.Add(t.Context(), src)
	var e *cove.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("got %v, want %s", err, code)
	}
	if len(e.Fields) != 1 || e.Fields[0].Field != "code" {
		t.Errorf("the fields are %v, want code", e.Fields)
	}
	for _, m := range mentions {
		if !strings.Contains(e.Message, m) {
			t.Errorf("the message %q does not mention %q", e.Message, m)
		}
	}
	wantNothing(t, s)
}

func TestAdd(t *testing.T) {
	t.Parallel()
	entries := []entry{
		{name: "./main.py", kind: tar.TypeReg, body: "print()"},
		{name: "bin/tool", kind: tar.TypeReg, body: "#!", mode: 0o4755},
		link("latest", "lib/v2"), dir("lib"), dir("lib/v2"), file("lib/v2/a.txt"),
		link("lib/again", "../latest/a.txt"), link("lib/v2/up", "../.."),
	}
	for format, archive := range map[string][]byte{FormatZip: zipfile(t, entries...), FormatTarGz: tarball(t, entries...)} {
		t.Run("a "+format+" is kept as uploaded and unpacked read-only", func(t *testing.T) {
			t.Parallel()
			s := setup(t, small())
			pkg := add(t, s, archive, format)
			if want := fmt.Sprintf("%x", sha256.Sum256(archive)); pkg.SHA256 != want || pkg.Format != format ||
				pkg.Size != int64(len(archive)) || pkg.Unpacked != 10 || pkg.Files != 6 {
				t.Errorf("got %+v", pkg)
			}
			r, err := s.Open(pkg)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if back, _ := io.ReadAll(r); !bytes.Equal(back, archive) {
				t.Error("the archive is not the one uploaded")
			}
			for path, mode := range map[string]fs.FileMode{
				"main.py": 0o444, "bin/tool": 0o555, "lib": 0o555 | fs.ModeDir, "lib/v2/a.txt": 0o444, "bin": 0o555 | fs.ModeDir,
			} {
				info, err := os.Lstat(filepath.Join(s.Dir(pkg), path))
				if err != nil || info.Mode() != mode {
					t.Errorf("%s: %v %v, want mode %v", path, info.Mode(), err, mode)
				}
				if info.Mode().IsRegular() && !info.ModTime().Equal(stamp) {
					t.Errorf("%s is of %v, want %v", path, info.ModTime(), stamp)
				}
			}
			if data, err := os.ReadFile(filepath.Join(s.Dir(pkg), "lib/again")); string(data) != "x" {
				t.Errorf("a chain of links reads %q, %v", data, err)
			}
			for path, want := range map[string]bool{"main.py": true, "lib/again": true, "latest/a.txt": true, "lib": false, "nope": false, "../main.py": false} {
				if s.Exists(pkg, path) != want {
					t.Errorf("Exists(%q) is %v", path, !want)
				}
			}
			if files, more, _ := s.List(pkg, 2); !slices.Equal(files, []string{"bin/tool", "latest"}) || !more {
				t.Errorf("List is %q, %v", files, more)
			}
			if !s.Present(pkg) {
				t.Error("it is not present")
			}
		})
	}

	t.Run("files given one by one are the same package each time", func(t *testing.T) {
		t.Parallel()
		s := setup(t, small())
		files := map[string][]byte{"main.py": []byte("a"), "lib/b.py": []byte("b"), "empty": nil}
		first, release, err := s.Add(t.Context(), Source{Files: files})
		if err != nil {
			t.Fatal(err)
		}
		release()
		again, release, err := s.Add(t.Context(), Source{Files: maps.Clone(files)})
		if err != nil {
			t.Fatal(err)
		}
		release()
		if first != again || first.Files != 3 || first.Format != FormatZip || len(kept(t, s)) != len(nothing)+6 {
			t.Errorf("got %+v and %+v, kept %q", first, again, kept(t, s))
		}
	})

	t.Run("hard links within the package, and the comment that git writes", func(t *testing.T) {
		t.Parallel()
		s := setup(t, small())
		pkg := add(t, s, tarball(t, entry{name: "pax_global_header", kind: tar.TypeXGlobalHeader, pax: map[string]string{"comment": "x"}},
			file("a"), hard("d/b", "a")), "")
		if !s.Exists(pkg, "d/b") || pkg.Files != 2 || pkg.Unpacked != 1 {
			t.Errorf("got %+v", pkg)
		}
	})

	t.Run("times that no format can hold are mended", func(t *testing.T) {
		t.Parallel()
		s := setup(t, small())
		pkg := add(t, s, tarball(t, entry{name: "a", kind: tar.TypeReg}), "")
		if !s.Exists(pkg, "a") {
			t.Error("no file")
		}
		tr := &tree{now: stamp}
		if got := tr.sane(time.Time{}); got.Year() != 1980 {
			t.Errorf("no time became %v", got)
		}
		if got := tr.sane(stamp.Add(time.Hour)); !got.Equal(stamp) {
			t.Errorf("a time to come became %v", got)
		}
	})
}

func TestRefused(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("d/", 7) + "f"
	many := make([]entry, 21)
	for i := range many {
		many[i] = file(fmt.Sprint("f", i))
	}
	for name, c := range map[string]struct {
		entries  []entry
		mentions string
	}{
		"a path with ..":                       {[]entry{file("a"), file("../evil")}, `".."`},
		"a path with .. in the middle":         {[]entry{file("a/../../evil")}, `".."`},
		"an absolute path":                     {[]entry{file("/etc/evil")}, "absolute"},
		"a drive letter":                       {[]entry{file("C:evil")}, "drive letter"},
		"a backslash":                          {[]entry{file(`..\evil`)}, "backslash"},
		"a control character":                  {[]entry{file("a\x1bb")}, "control character"},
		"a name that is not UTF-8":             {[]entry{file("a\xff")}, "UTF-8"},
		"a path that is too long":              {[]entry{file(strings.Repeat("a", 101))}, "limit is 100"},
		"a path that is too deep":              {[]entry{file(deep)}, "limit is 5"},
		"an absolute link":                     {[]entry{file("a"), link("l", "/etc/passwd")}, "relative"},
		"a link that leaves":                   {[]entry{file("a"), link("d/l", "../../a")}, "leaves the package"},
		"a link that leaves by another":        {[]entry{file("d/e/f"), link("l", "d/e"), link("m", "l/../../../x")}, "leaves the package"},
		"a link to nothing":                    {[]entry{file("a"), link("l", "b")}, "not in the package"},
		"a link through a file":                {[]entry{file("a"), link("l", "a/b")}, "not in the package"},
		"links in a circle":                    {[]entry{file("a"), link("l", "m"), link("m", "l")}, "circle"},
		"a file behind a link":                 {[]entry{dir("d"), link("l", "d"), file("l/f")}, "behind the link"},
		"a file in place of a link":            {[]entry{file("a"), link("l", "a"), file("l")}, "twice"},
		"the same file twice":                  {[]entry{file("a"), file("./a")}, "twice"},
		"a file and a directory of one name":   {[]entry{file("a"), file("a/b")}, "both a file and a directory"},
		"a directory and a file of one name":   {[]entry{file("a/b"), file("a")}, "both a file and a directory"},
		"a device":                             {[]entry{file("a"), device("d", tar.TypeChar)}, "device"},
		"a named pipe":                         {[]entry{file("a"), device("p", tar.TypeFifo)}, "pipe"},
		"no files at all":                      {nil, "no files"},
		"directories only":                     {[]entry{dir("a")}, "no files"},
		"too many files":                       {many, "20 files"},
		"more unpacked than is allowed (bomb)": {[]entry{{name: "big", kind: tar.TypeReg, body: strings.Repeat("\x00", 300<<10)}}, "256KiB"},
		"more unpacked in two files":           {[]entry{{name: "a", kind: tar.TypeReg, body: strings.Repeat("\x00", 200<<10)}, {name: "b", kind: tar.TypeReg, body: strings.Repeat("\x00", 57<<10)}}, "256KiB"},
	} {
		code := cove.CodeInvalid
		if strings.HasPrefix(name, "too many") || strings.HasPrefix(name, "more ") {
			code = cove.CodeTooLarge
		}
		t.Run("zip: "+name, func(t *testing.T) {
			t.Parallel()
			wantRefused(t, setup(t, small()), Source{Archive: bytes.NewReader(zipfile(t, c.entries...)), Format: FormatZip}, code, c.mentions)
		})
		t.Run("tar.gz: "+name, func(t *testing.T) {
			t.Parallel()
			wantRefused(t, setup(t, small()), Source{Archive: bytes.NewReader(tarball(t, c.entries...)), Format: FormatTarGz}, code, c.mentions)
		})
	}
}

func TestRefusedTar(t *testing.T) {
	t.Parallel()
	good := tarball(t, file("a"))
	plain := func(raw []byte) []byte {
		var buf bytes.Buffer
		zw := gzip.NewWriter(&buf)
		_, _ = zw.Write(raw)
		_ = zw.Close()
		return buf.Bytes()
	}
	zr, err := gzip.NewReader(bytes.NewReader(good))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(zr)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		archive  []byte
		code     cove.Code
		mentions string
	}{
		"a hard link that leaves":             {tarball(t, file("a"), hard("h", "../x")), cove.CodeInvalid, "leaves the package"},
		"an absolute hard link":               {tarball(t, file("a"), hard("h", "/etc/passwd")), cove.CodeInvalid, "leaves the package"},
		"a hard link to nothing":              {tarball(t, file("a"), hard("h", "b")), cove.CodeInvalid, "comes before"},
		"a hard link to a link":               {tarball(t, file("a"), link("l", "a"), hard("h", "l")), cove.CodeInvalid, "comes before"},
		"garbage behind the gzip":             {append(slices.Clone(good), "garbage, not gzip"...), cove.CodeInvalid, "behind the end"},
		"garbage behind the tar":              {plain(append(slices.Clone(raw), bytes.Repeat([]byte("x"), 512)...)), cove.CodeInvalid, "behind the end"},
		"a bomb of padding":                   {plain(append(slices.Clone(raw), make([]byte, 3<<20)...)), cove.CodeTooLarge, "256KiB"},
		"one that is cut off":                 {good[:len(good)-10], cove.CodeInvalid, "damaged"},
		"a wrong checksum":                    {append(slices.Clone(good[:len(good)-8]), 0, 0, 0, 0, 0, 0, 0, 0), cove.CodeInvalid, "damaged"},
		"something else in gzip":              {plain(bytes.Repeat([]byte("hello"), 300)), cove.CodeInvalid, "damaged"},
		"another format than announced":       {zipfile(t, file("a")), cove.CodeInvalid, "announced"},
		"neither zip nor tar":                 {[]byte("#!/bin/sh"), cove.CodeInvalid, "neither"},
		"nothing":                             {nil, cove.CodeInvalid, "empty"},
		"an archive that is larger than 64 K": {tarball(t, entry{name: "a", kind: tar.TypeReg, body: noise(100 << 10)}), cove.CodeTooLarge, "64KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantRefused(t, setup(t, small()), Source{Archive: bytes.NewReader(c.archive), Format: FormatTarGz}, c.code, c.mentions)
		})
	}
}

func noise(n int) string {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b) // It never fails.
	return string(b)
}

// patched is a zip with bytes changed at the n-th place of a signature.
func patched(archive []byte, signature uint32, offset int, with ...byte) []byte {
	a := slices.Clone(archive)
	sig := binary.LittleEndian.AppendUint32(nil, signature)
	copy(a[bytes.LastIndex(a, sig)+offset:], with)
	return a
}

func TestRefusedZip(t *testing.T) {
	t.Parallel()
	good := zipfile(t, file("a"), file("b"))
	for name, c := range map[string]struct {
		archive  []byte
		code     cove.Code
		mentions string
	}{
		"one with a password":           {patched(good, directorySig, 8, 1), cove.CodeInvalid, "encrypted"},
		"an unknown compression":        {patched(good, directorySig, 10, 99), cove.CodeInvalid, "method 99"},
		"garbage behind the end":        {append(slices.Clone(good), "garbage"...), cove.CodeInvalid, "behind"},
		"garbage in front":              {append([]byte("PK\x03\x04"), good...), cove.CodeInvalid, "damaged"},
		"one that is cut off":           {good[:len(good)-30], cove.CodeInvalid, "cut off"},
		"a count that is too low":       {patched(good, endSig, 10, 1), cove.CodeInvalid, "does not hold"},
		"a count that is too high":      {patched(good, endSig, 10, 3), cove.CodeInvalid, "does not hold"},
		"a directory of another length": {patched(good, endSig, 12, 1), cove.CodeInvalid, "directory"},
		"zip64 without its record":      {patched(good, endSig, 10, 0xff, 0xff), cove.CodeInvalid, "zip64"},
		"entries that overlap":          {patched(good, directorySig, 42, 0, 0, 0, 0), cove.CodeInvalid, "overlap"},
		"a size that is a lie":          {patched(good, directorySig, 24, 0), cove.CodeInvalid, "damaged"},
		"a checksum that is wrong":      {patched(good, directorySig, 16, 1, 2, 3), cove.CodeInvalid, "damaged"},
		"a huge count":                  {patched(good, endSig, 10, 0xfe, 0xff), cove.CodeTooLarge, "65534 entries"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantRefused(t, setup(t, small()), Source{Archive: bytes.NewReader(c.archive)}, c.code, c.mentions)
		})
	}
	t.Run("bad names of files given one by one", func(t *testing.T) {
		t.Parallel()
		for _, name := range []string{"../a", "/a", "a/", "", "a//b"} {
			wantRefused(t, setup(t, small()), Source{Files: map[string][]byte{name: nil}}, cove.CodeInvalid)
		}
		wantRefused(t, setup(t, small()), Source{}, cove.CodeInvalid, "no files")
	})
}
