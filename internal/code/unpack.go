package code

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/covefn/cove"
)

// upload is the archive on its way in. All that is read from it has been
// written to its file and counted into its digest.
type upload struct {
	ctx   context.Context
	r     io.Reader
	file  *os.File
	sum   hash.Hash
	limit int64
	n     int64
	// err is why reading ended early, so that a broken connection is not
	// taken for a broken archive.
	err error
}

// Read reads from the source and keeps what it read.
func (u *upload) Read(p []byte) (int, error) {
	if u.err == nil {
		u.err = u.ctx.Err()
	}
	if u.err != nil {
		return 0, u.err
	}
	n, err := u.r.Read(p)
	if n > 0 {
		if u.n += int64(n); u.n > u.limit {
			u.err = tooLarge("the archive is larger than %s, which is the limit", cove.ByteSize(u.limit))
			return 0, u.err
		}
		u.sum.Write(p[:n])
		if _, werr := u.file.Write(p[:n]); werr != nil {
			u.err = internal("write the archive", werr)
			return 0, u.err
		}
	}
	if err != nil && err != io.EOF {
		u.err = readError(err)
		err = u.err
	}
	return n, err
}

// readError is why an archive did not come whole.
func readError(err error) error {
	var large *http.MaxBytesError
	var known *cove.Error
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &large):
		return tooLarge("the archive is larger than %s, which is the limit", cove.ByteSize(large.Limit))
	}
	e := invalid("the archive broke off while it was received")
	e.Err = err
	return e
}

// unpack receives src into tmp/archive and tmp/tree.
func (s *Store) unpack(ctx context.Context, src Source, tmp string) (cove.Package, error) {
	file, err := os.OpenFile(filepath.Join(tmp, "archive"), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o400)
	if err != nil {
		return cove.Package{}, internal("make a file for the archive", err)
	}
	defer file.Close()
	if src.Archive == nil {
		packed, err := s.pack(src.Files, tmp)
		if err != nil {
			return cove.Package{}, internal("pack the files", err)
		}
		defer packed.Close()
		src = Source{Archive: packed, Format: FormatZip}
	}
	up := &upload{ctx: ctx, r: src.Archive, file: file, sum: sha256.New(), limit: int64(s.limits.Archive)}
	t, err := newTree(filepath.Join(tmp, "tree"), s.limits)
	if err != nil {
		return cove.Package{}, internal("make a directory for the files", err)
	}
	defer t.root.Close()
	format, err := receive(up, t, src.Format)
	switch {
	case up.err != nil: // Whatever it made of the archive, this came first.
		return cove.Package{}, up.err
	case err != nil:
		return cove.Package{}, internal("unpack the archive", err)
	}
	if err := t.finish(filepath.Join(tmp, "tree")); err != nil {
		return cove.Package{}, internal("finish the package", err)
	}
	if err := file.Sync(); err != nil {
		return cove.Package{}, internal("write the archive to disk", err)
	}
	return cove.Package{
		SHA256: hex.EncodeToString(up.sum.Sum(nil)), Format: format,
		Size: up.n, Unpacked: t.size, Files: t.files,
	}, nil
}

// receive finds out the format and unpacks into t. The first bytes decide, and
// each format has its own: so no archive can be one thing to this reader and
// another to the next, though packages are named by their content alone.
func receive(up *upload, t *tree, format string) (string, error) {
	magic := make([]byte, 4)
	n, err := io.ReadFull(up, magic)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && err != io.EOF {
		return "", err
	}
	magic = magic[:n]
	found := ""
	switch {
	case n == 0:
		return "", invalid("the archive is empty")
	case bytes.HasPrefix(magic, []byte("PK\x03\x04")), bytes.HasPrefix(magic, []byte("PK\x05\x06")):
		found = FormatZip
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		found = FormatTarGz
	}
	switch {
	case format != "" && format != FormatZip && format != FormatTarGz:
		return "", invalid("%q is no format of an archive: use %s or %s", prefix(format, 40), FormatZip, FormatTarGz)
	case found == "":
		return "", invalid("this is neither a zip file nor a gzipped tar: its first bytes are %x", magic)
	case format != "" && format != found:
		return "", invalid("the archive was announced as %s and is %s", format, found)
	case found == FormatZip:
		if _, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{up}, t.buf); err != nil {
			return "", err
		}
		return found, unzip(up.ctx, up.file, up.n, t)
	}
	return found, untar(io.MultiReader(bytes.NewReader(magic), up), t)
}

// untar unpacks a gzipped tar in one pass, while it comes in.
func untar(r io.Reader, t *tree) error {
	zr, err := gzip.NewReader(r)
	if err != nil {
		return corrupt(err)
	}
	// Headers and padding cost nothing in the tree, so they have a bound of
	// their own.
	limit := int64(t.limits.Unpacked) + int64(t.limits.Files)*4<<10 + 1<<20
	plain := &io.LimitedReader{R: zr, N: limit}
	tr := tar.NewReader(plain)
	for entries := 0; ; entries++ {
		if entries > 4*t.limits.Files {
			return tooLarge("the archive has more than %d entries", 4*t.limits.Files)
		}
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return tarError(err, plain, t)
		}
		if err := tarEntry(t, tr, h); err != nil {
			return tarError(err, plain, t)
		}
	}
	return drain(plain, t)
}

func tarEntry(t *tree, tr *tar.Reader, h *tar.Header) error {
	if sparse(h) {
		return invalid("the entry %q is a sparse file: pack it without --sparse", h.Name)
	}
	switch h.Typeflag {
	case tar.TypeXGlobalHeader:
		return nil // A comment, as git writes it.
	case tar.TypeDir:
		return t.dir(h.Name)
	case tar.TypeReg:
		return t.file(h.Name, h.FileInfo().Mode(), h.ModTime, tr)
	case tar.TypeSymlink:
		return t.link(h.Name, h.Linkname)
	case tar.TypeLink:
		return t.hardLink(h.Name, h.Linkname)
	case tar.TypeChar, tar.TypeBlock:
		return invalid("the entry %q is a device: only files, directories and links are allowed", h.Name)
	case tar.TypeFifo:
		return invalid("the entry %q is a named pipe: only files, directories and links are allowed", h.Name)
	}
	return invalid("the entry %q is of the unknown type %q: only files, directories and links are allowed", h.Name, h.Typeflag)
}

func sparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range h.PAXRecords {
		if len(key) > 11 && key[:11] == "GNU.sparse." {
			return true
		}
	}
	return false
}

// drain reads what follows the end of the tar: zeros, and no more of them
// than the limit allows.
func drain(plain *io.LimitedReader, t *tree) error {
	for {
		n, err := plain.Read(t.buf)
		for _, b := range t.buf[:n] {
			if b != 0 {
				return invalid("there is something behind the end of the archive")
			}
		}
		if err != nil && err != io.EOF {
			return tarError(err, plain, t)
		}
		if err == io.EOF {
			if plain.N <= 0 {
				return bomb(t)
			}
			return nil
		}
	}
}

// tarError tells the reader's own words from a limit that cut it short.
func tarError(err error, plain *io.LimitedReader, t *tree) error {
	var known *cove.Error
	switch {
	case errors.As(err, &known):
		return known
	case plain.N <= 0:
		return bomb(t)
	case errors.Is(err, gzip.ErrHeader):
		return invalid("there is something behind the end of the archive")
	}
	return hostOrCorrupt(err)
}

func bomb(t *tree) error {
	return tooLarge("unpacked, the archive is larger than %s, which is the limit", t.limits.Unpacked)
}

// hostOrCorrupt tells a failure of this host's file system, which always names
// a path or is a number of the kernel's, from one of the archive.
func hostOrCorrupt(err error) error {
	var known *cove.Error
	if errors.As(err, &known) {
		return known
	}
	var pathError *os.PathError
	var linkError *os.LinkError
	var syscallError interface{ Temporary() bool }
	if errors.As(err, &pathError) || errors.As(err, &linkError) || errors.As(err, &syscallError) {
		return err
	}
	return corrupt(err)
}

func corrupt(err error) error {
	e := invalid("the archive is damaged: %v", err)
	e.Err = err
	return e
}
