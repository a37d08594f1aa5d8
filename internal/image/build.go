package image

import (
	"archive/tar"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/covefn/cove"
)

// Build makes the image that the recipe describes, in the place of one of the
// same name. It needs root, mmdebstrap and, for some recipes, npm. When ctx
// ends, everything that was started is ended and removed before it returns.
func (s *Store) Build(ctx context.Context, r Recipe, progress Progress) (Image, error) {
	if err := r.buildable(); err != nil {
		return Image{}, err
	}
	if err := r.tools(); err != nil {
		return Image{}, err
	}
	d, err := s.draft(ctx, r.Name, progress)
	if err != nil {
		return Image{}, err
	}
	defer d.discard()
	d.source, d.recipe = "recipe "+r.Name, r.digest
	d.config.Config.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin"}
	for _, name := range slices.Sorted(maps.Keys(r.Env)) {
		d.config.Config.Env = append(d.config.Config.Env, name+"="+r.Env[name])
	}
	if err := d.debian(ctx, r.Debian, progress); err != nil {
		return Image{}, buildError(r.Name, err)
	}
	for _, p := range r.NPM {
		if err := d.npm(ctx, p, progress); err != nil {
			return Image{}, buildError(r.Name, err)
		}
	}
	img, err := d.commit(ctx, progress)
	if err != nil {
		return Image{}, buildError(r.Name, err)
	}
	return img, nil
}

func buildError(name string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &cove.Error{
		Code: cove.CodeUnavailable, Err: err,
		Message: fmt.Sprintf("the image %s could not be built: %v", name, err),
	}
}

// tools says which programs the recipe lacks.
func (r Recipe) tools() error {
	if os.Geteuid() != 0 {
		return cove.Errorf(cove.CodeUnavailable, "building the image %s needs root: run `sudo cove image build %s`", r.Name, r.Name)
	}
	if !have("mmdebstrap") {
		return cove.Errorf(cove.CodeUnavailable,
			"building the image %s needs mmdebstrap: run `apt-get install mmdebstrap`, or take one from a registry with `cove image pull %s REFERENCE`", r.Name, r.Name)
	}
	if len(r.NPM) > 0 && !have("npm") {
		return cove.Errorf(cove.CodeUnavailable,
			"building the image %s needs npm: install Node.js, or take one from a registry with `cove image pull %s REFERENCE`", r.Name, r.Name)
	}
	return nil
}

// debian adds the layer of Debian's packages.
func (d *draft) debian(ctx context.Context, base Debian, progress Progress) error {
	tmp := filepath.Join(d.dir, "mmdebstrap")
	if err := os.Mkdir(tmp, 0o755); err != nil {
		return err
	}
	variant := base.Variant
	if variant == "" {
		variant = "essential"
	}
	args := []string{"mmdebstrap", "--format=tar", "--variant=" + variant}
	if len(base.Packages) > 0 {
		args = append(args, "--include="+strings.Join(base.Packages, ","))
	}
	for _, line := range base.Run {
		args = append(args, `--customize-hook=chroot "$1" sh -e -c `+quote(line))
	}
	if len(base.Remove) > 0 {
		// The patterns are the recipe's and checked to stay below the root.
		args = append(args, `--customize-hook=cd "$1" && rm -rf -- `+strings.Join(base.Remove, " "))
	}
	args = append(args, base.Suite, "-")
	args = append(args, base.Sources...)

	raw, err := os.Create(filepath.Join(d.dir, "debian.tar"))
	if err != nil {
		return err
	}
	defer raw.Close()
	progress.Step("Debian " + base.Suite)
	err = command{
		args: args, dir: d.dir, stdout: raw,
		env: []string{
			"TMPDIR=" + tmp, "LC_ALL=C.UTF-8", "PYTHONHASHSEED=0", "DEBIAN_FRONTEND=noninteractive",
			"SOURCE_DATE_EPOCH=" + strconv.FormatInt(epoch.Unix(), 10),
		},
		line: func(line string) {
			if step, ok := strings.CutPrefix(line, "I: "); ok && !strings.Contains(step, tmp) {
				progress.Step("Debian " + base.Suite + ": " + strings.TrimSuffix(step, "..."))
			}
		},
	}.run(ctx)
	if err != nil {
		return err
	}
	if _, err := raw.Seek(0, io.SeekStart); err != nil {
		return err
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(tidyTar(raw, w)) }()
	defer r.Close()
	if err := d.addLayer(ctx, r, "cove: Debian "+base.Suite); err != nil {
		return err
	}
	return os.Remove(raw.Name())
}

// tidyTar copies a root file system without what belongs to a machine: devices
// and set-user bits. mmdebstrap sorts by name and bounds the times.
func tidyTar(from io.Reader, to io.Writer) error {
	tr, tw := tar.NewReader(from), tar.NewWriter(to)
	for {
		hdr, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return tw.Close()
		}
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(hdr.Name, "./")
		switch hdr.Typeflag {
		case tar.TypeReg, tar.TypeDir, tar.TypeSymlink, tar.TypeLink:
		default:
			continue
		}
		if strings.HasPrefix(name, "dev/") && name != "dev/" {
			continue
		}
		hdr.Mode &= 0o1777
		hdr.ModTime = epoch
		hdr.AccessTime, hdr.ChangeTime = hdr.ModTime, hdr.ModTime
		hdr.PAXRecords, hdr.Format = nil, tar.FormatGNU
		hdr.Uname, hdr.Gname = "", ""
		if err := tw.WriteHeader(hdr); err != nil {
			return err
		}
		if _, err := io.Copy(tw, tr); err != nil {
			return err
		}
	}
}

// npm adds a layer with files of an npm package.
func (d *draft) npm(ctx context.Context, p NPM, progress Progress) error {
	spec := p.Package + "@" + p.Version
	progress.Step("npm package " + spec)
	tmp := filepath.Join(d.dir, "npm")
	if err := os.Mkdir(tmp, 0o755); err != nil {
		return err
	}
	err := command{
		args: []string{"npm", "pack", spec, "--pack-destination", tmp, "--prefer-offline", "--ignore-scripts", "--silent"},
		dir:  tmp, stdout: io.Discard, env: []string{"npm_config_update_notifier=false"},
	}.run(ctx)
	if err != nil {
		return err
	}
	archives, err := filepath.Glob(filepath.Join(tmp, "*.tgz"))
	if err != nil {
		return err
	}
	if len(archives) != 1 {
		return fmt.Errorf("npm left %d archives of %s, not one", len(archives), spec)
	}
	if err := checkIntegrity(archives[0], p.Integrity); err != nil {
		return fmt.Errorf("%s: %w", spec, err)
	}
	files, err := pick(archives[0], p.Files)
	if err != nil {
		return fmt.Errorf("%s: %w", spec, err)
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(writeTar(w, files)) }()
	defer r.Close()
	if err := d.addLayer(ctx, r, "cove: npm package "+spec); err != nil {
		return err
	}
	return os.RemoveAll(tmp)
}

// checkIntegrity compares a file with a digest as npm's lock files have it.
func checkIntegrity(file, want string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha512.New()
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	if got := "sha512-" + base64.StdEncoding.EncodeToString(sum.Sum(nil)); got != want {
		return fmt.Errorf("its archive is %s and the recipe wants %s", got, want)
	}
	return nil
}

// pick takes files out of a gzipped archive, by their new path.
func pick(archive string, wanted map[string]string) (map[string]file, error) {
	f, err := os.Open(archive)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := decompress(f)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	files := map[string]file{}
	for tr := tar.NewReader(content); len(files) < len(wanted); {
		hdr, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("not all of %v: %w", slices.Sorted(maps.Keys(wanted)), fs.ErrNotExist)
		}
		if err != nil {
			return nil, err
		}
		to, ok := wanted[hdr.Name]
		if !ok {
			continue
		}
		data, err := io.ReadAll(tr)
		if err != nil {
			return nil, err
		}
		files[to] = file{mode: hdr.Mode & 0o755, content: data}
	}
	return files, nil
}

// quote makes one word of the shell of s.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
