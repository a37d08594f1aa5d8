package code

import (
	"archive/zip"
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// unzip unpacks a zip file of size bytes.
func unzip(ctx context.Context, r io.ReaderAt, size int64, t *tree) error {
	if err := checkDirectory(r, size, 2*t.limits.Files); err != nil {
		return err
	}
	zr, err := zip.NewReader(r, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return corrupt(err)
	}
	if err := checkOverlap(zr.File); err != nil {
		return err
	}
	for _, f := range zr.File {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := zipEntry(t, f); err != nil {
			return hostOrCorrupt(err)
		}
	}
	return nil
}

func zipEntry(t *tree, f *zip.File) error {
	if f.Flags&0x41 != 0 {
		return invalid("the entry %q is encrypted: pack the files without a password", f.Name)
	}
	mode := f.Mode()
	switch {
	case mode.IsDir():
		if f.UncompressedSize64 != 0 {
			return invalid("the directory %q has a content of its own", f.Name)
		}
		return t.dir(f.Name)
	case mode&fs.ModeSymlink == 0 && !mode.IsRegular():
		return invalid("the entry %q is a device, a pipe or a socket: only files, directories and links are allowed", f.Name)
	case f.Method != zip.Store && f.Method != zip.Deflate:
		return invalid("the entry %q is compressed by method %d: use deflate", f.Name, f.Method)
	}
	content, err := f.Open()
	if err != nil {
		return corrupt(err)
	}
	defer content.Close()
	if mode.IsRegular() {
		return t.file(f.Name, mode, f.Modified, content)
	}
	target, err := io.ReadAll(io.LimitReader(content, int64(t.limits.Path)+1))
	if err != nil {
		return corrupt(err)
	}
	return t.link(f.Name, string(target))
}

// checkOverlap refuses entries that share bytes of the archive, by which a
// small file unpacks to a huge one.
func checkOverlap(files []*zip.File) error {
	type span struct {
		name       string
		start, end int64
	}
	spans := make([]span, 0, len(files))
	for _, f := range files {
		at, err := f.DataOffset()
		if err != nil {
			return corrupt(err)
		}
		if f.CompressedSize64 > math.MaxInt64/2 {
			return invalid("the entry %q has an impossible size", f.Name)
		}
		spans = append(spans, span{f.Name, at, at + int64(f.CompressedSize64)})
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	for i := 1; i < len(spans); i++ {
		// Between two contents there is at least the second's header.
		if spans[i-1].end+fileHeaderLen > spans[i].start {
			return invalid("the entries %q and %q overlap", spans[i-1].name, spans[i].name)
		}
	}
	return nil
}

// Sizes and signatures of the zip format.
const (
	fileHeaderLen   = 30
	directoryLen    = 46
	endLen          = 22
	end64LocatorLen = 20
	end64Len        = 56
	directorySig    = 0x02014b50
	endSig          = 0x06054b50
	end64LocatorSig = 0x07064b50
	end64Sig        = 0x06064b50
)

// checkDirectory walks the central directory before anything is built from it.
// It must end where the archive's end record begins, that record where the
// file ends, and both must agree on how many entries there are: what a lenient
// reader forgives here is where two readers come to see two archives, and a
// million entries would take the memory of a million.
func checkDirectory(r io.ReaderAt, size int64, limit int) error {
	end, at, err := findEnd(r, size)
	if err != nil {
		return err
	}
	records := uint64(binary.LittleEndian.Uint16(end[10:]))
	length := uint64(binary.LittleEndian.Uint32(end[12:]))
	start := uint64(binary.LittleEndian.Uint32(end[16:]))
	if binary.LittleEndian.Uint16(end[4:]) != 0 && binary.LittleEndian.Uint16(end[4:]) != 0xffff {
		return invalid("the archive is one of several parts")
	}
	if records == 0xffff || length == 0xffffffff || start == 0xffffffff {
		if records, length, start, at, err = readEnd64(r, at); err != nil {
			return err
		}
	}
	switch {
	case start > uint64(at) || length != uint64(at)-start:
		return invalid("the archive is damaged, or there is something before or behind it: its directory is not where its end says")
	case records > uint64(limit):
		return tooLarge("the archive has %d entries; the limit is %d", records, limit)
	}
	return walkDirectory(bufio.NewReader(io.NewSectionReader(r, int64(start), int64(length))), records)
}

// walkDirectory counts the entries of the central directory.
func walkDirectory(dir *bufio.Reader, records uint64) error {
	head := make([]byte, directoryLen)
	for n := uint64(0); ; n++ {
		_, err := io.ReadFull(dir, head)
		if err == io.EOF && n == records {
			return nil
		}
		if err != nil || n == records || binary.LittleEndian.Uint32(head) != directorySig {
			return invalid("the archive is damaged: its directory does not hold the %d entries that its end says", records)
		}
		skip := int(binary.LittleEndian.Uint16(head[28:])) + int(binary.LittleEndian.Uint16(head[30:])) +
			int(binary.LittleEndian.Uint16(head[32:]))
		if _, err := dir.Discard(skip); err != nil {
			return invalid("the archive is damaged: its directory is cut off")
		}
	}
}

// findEnd finds the end record: the last of the file but for its comment.
func findEnd(r io.ReaderAt, size int64) (end []byte, at int64, err error) {
	tail := make([]byte, min(size, endLen+math.MaxUint16))
	if _, err := r.ReadAt(tail, size-int64(len(tail))); err != nil && err != io.EOF {
		return nil, 0, err
	}
	for i := len(tail) - endLen; i >= 0; i-- {
		if binary.LittleEndian.Uint32(tail[i:]) != endSig {
			continue
		}
		comment := int(binary.LittleEndian.Uint16(tail[i+20:]))
		if i+endLen+comment != len(tail) {
			return nil, 0, invalid("the archive is cut off, or there is something behind its end")
		}
		return tail[i : i+endLen], size - int64(len(tail)) + int64(i), nil
	}
	return nil, 0, invalid("the archive is cut off: it has no end record")
}

// readEnd64 reads the end record for large archives, which stands before the
// plain one that begins at end.
func readEnd64(r io.ReaderAt, end int64) (records, length, start uint64, at int64, err error) {
	bad := invalid("the archive is damaged: its zip64 end record is wrong")
	locator := make([]byte, end64LocatorLen)
	if end < end64LocatorLen {
		return 0, 0, 0, 0, bad
	}
	if _, err := r.ReadAt(locator, end-end64LocatorLen); err != nil {
		return 0, 0, 0, 0, err
	}
	offset := binary.LittleEndian.Uint64(locator[8:])
	if binary.LittleEndian.Uint32(locator) != end64LocatorSig || offset > uint64(end) ||
		uint64(end)-offset < end64LocatorLen+end64Len {
		return 0, 0, 0, 0, bad
	}
	record := make([]byte, end64Len)
	if _, err := r.ReadAt(record, int64(offset)); err != nil {
		return 0, 0, 0, 0, err
	}
	if binary.LittleEndian.Uint32(record) != end64Sig ||
		binary.LittleEndian.Uint64(record[4:])+12 != uint64(end)-end64LocatorLen-offset {
		return 0, 0, 0, 0, bad
	}
	return binary.LittleEndian.Uint64(record[32:]), binary.LittleEndian.Uint64(record[40:]),
		binary.LittleEndian.Uint64(record[48:]), int64(offset), nil
}

// pack writes files into a zip file below tmp that is the same for the same
// files, and opens it. It then goes the way of every archive.
func (s *Store) pack(files map[string][]byte, tmp string) (_ *os.File, err error) {
	if len(files) == 0 {
		return nil, invalid("there are no files")
	}
	size := int64(0)
	for name, content := range files {
		if size += int64(len(content)); size > int64(s.limits.Unpacked) {
			return nil, tooLarge("the files are larger than %s, which is the limit", s.limits.Unpacked)
		}
		if clean, bad := s.limits.cleanName(name); bad != nil {
			return nil, bad
		} else if clean != name {
			return nil, invalid("%q is no plain path of a file", name)
		}
	}
	f, err := os.OpenFile(filepath.Join(tmp, "inline"), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	zw := zip.NewWriter(f)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		w, err := zw.CreateHeader(&zip.FileHeader{
			Name: name, Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC),
		})
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(files[name]); err != nil {
			return nil, err
		}
	}
	if err := zw.Close(); err != nil {
		return nil, err
	}
	_, err = f.Seek(0, io.SeekStart)
	return f, err
}
