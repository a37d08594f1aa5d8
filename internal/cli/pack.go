package cli

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// ignoreFile lists what does not belong to a package, in the manner of
// .gitignore.
const ignoreFile = ".coveignore"

// neverPacked is what no function needs; secrets do not belong into packages.
func neverPacked() []string {
	return []string{
		".git/", ".hg/", ".svn/", "__pycache__/", "*.pyc", ".venv/", ".pytest_cache/", ".mypy_cache/", ".DS_Store",
		".env", ".idea/", ".vscode/", "/" + configFile, "/" + ignoreFile,
	}
}

// pack is a folder as an archive in a temporary file. The same folder makes the
// same bytes, whoever packs it and when.
type pack struct {
	file    *os.File
	Size    int64
	SHA256  string
	Files   int
	Skipped []string
}

// Close ends the temporary file.
func (p *pack) Close() { p.file.Close() }

// packFolder packs the folder dir as tar.gz. The caller closes the pack.
func packFolder(dir string) (*pack, error) {
	rules, err := readIgnore(filepath.Join(dir, ignoreFile))
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp("", "cove-package-*.tar.gz")
	if err != nil {
		return nil, err
	}
	p := &pack{file: f}
	// Without a name nothing of it is left behind, however the command ends.
	if err := os.Remove(f.Name()); err != nil {
		p.Close()
		return nil, err
	}
	if err := p.fill(dir, rules); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// fill writes the archive and goes back to its begin.
func (p *pack) fill(dir string, rules []ignoreRule) (err error) {
	digest := sha256.New()
	buffer := bufio.NewWriter(io.MultiWriter(p.file, digest))
	zip := gzip.NewWriter(buffer)
	archive := tar.NewWriter(zip)
	if err := p.addFolder(archive, dir, rules); err != nil {
		return err
	}
	if err := errors.Join(archive.Close(), zip.Close(), buffer.Flush()); err != nil {
		return err
	}
	if p.Files == 0 {
		return usagef("there is nothing to deploy in %s", dir)
	}
	if p.Size, err = p.file.Seek(0, io.SeekEnd); err != nil {
		return err
	}
	p.SHA256 = hex.EncodeToString(digest.Sum(nil))
	_, err = p.file.Seek(0, io.SeekStart)
	return err
}

// addFolder walks in the order of names, which fs.WalkDir guarantees.
func (p *pack) addFolder(archive *tar.Writer, dir string, rules []ignoreRule) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		if ignored(rules, name, d.IsDir()) {
			// These two are about the package, and nobody expects them in it.
			if name != configFile && name != ignoreFile {
				p.Skipped = append(p.Skipped, name)
			}
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			return nil
		}
		p.Files++
		return addFile(archive, root, name, d)
	})
}

func addFile(archive *tar.Writer, root *os.Root, name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	h := &tar.Header{Name: name, Mode: 0o644, ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
	if info.Mode()&0o111 != 0 {
		h.Mode = 0o755
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := root.Readlink(name)
		if err != nil {
			return err
		}
		if inside := path.Join(path.Dir(name), target); path.IsAbs(target) || inside == ".." || strings.HasPrefix(inside, "../") {
			return usagef("%s is a link that leads out of the folder, to %s", name, target)
		}
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, target, 0o777
		return archive.WriteHeader(h)
	case !info.Mode().IsRegular():
		return usagef("%s is neither a file nor a folder nor a link", name)
	}
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	h.Typeflag, h.Size = tar.TypeReg, info.Size()
	if err := archive.WriteHeader(h); err != nil {
		return err
	}
	if _, err := io.CopyN(archive, f, info.Size()); err != nil {
		return fmt.Errorf("%s changed while it was packed: %w", name, err)
	}
	return nil
}

// ignoreRule is one line of an ignore file.
type ignoreRule struct {
	pattern *regexp.Regexp
	folders bool
	keep    bool
}

func readIgnore(file string) ([]ignoreRule, error) {
	lines := neverPacked()
	data, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	lines = append(lines, strings.Split(string(data), "\n")...)
	var rules []ignoreRule
	for i, line := range lines {
		rule, ok, err := parseIgnore(line)
		if err != nil {
			return nil, usagef("%s, line %d: %w", file, i+1-len(neverPacked()), err)
		}
		if ok {
			rules = append(rules, rule)
		}
	}
	return rules, nil
}

// parseIgnore reads a pattern: * and ? within a name, ** across folders, a
// leading / for the top folder only, a trailing / for folders only, a leading !
// to keep what an earlier line ignores.
func parseIgnore(line string) (rule ignoreRule, ok bool, err error) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return rule, false, nil
	}
	line, rule.keep = strings.CutPrefix(line, "!")
	line, rule.folders = strings.CutSuffix(line, "/")
	anchored := strings.Contains(line, "/")
	line = strings.TrimPrefix(line, "/")
	var expr strings.Builder
	expr.WriteString("^")
	if !anchored {
		expr.WriteString("(.*/)?")
	}
	for rest := line; rest != ""; {
		switch {
		case strings.HasPrefix(rest, "**/"):
			expr.WriteString("(.*/)?")
			rest = rest[3:]
		case strings.HasPrefix(rest, "**"):
			expr.WriteString(".*")
			rest = rest[2:]
		case rest[0] == '*':
			expr.WriteString("[^/]*")
			rest = rest[1:]
		case rest[0] == '?':
			expr.WriteString("[^/]")
			rest = rest[1:]
		default:
			expr.WriteString(regexp.QuoteMeta(rest[:1]))
			rest = rest[1:]
		}
	}
	rule.pattern, err = regexp.Compile(expr.String() + "$")
	return rule, err == nil, err
}

func ignored(rules []ignoreRule, name string, folder bool) bool {
	out := false
	for _, r := range rules {
		if (!r.folders || folder) && r.pattern.MatchString(name) {
			out = !r.keep
		}
	}
	return out
}
