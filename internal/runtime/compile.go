package runtime

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"

	"github.com/covefn/cove"
)

// The limits of what a shim may send in answer to COMPILE.
const (
	// MaxCompiled bounds the files of one package together, in bytes, and
	// maxCompiledFiles their number.
	MaxCompiled      = 256 << 20
	maxCompiledFiles = 50_000
	// maxCompiledName bounds the path of one of them.
	maxCompiledName = 1 << 10
)

// CompileRequest is the body of COMPILE.
type CompileRequest struct {
	// CodeDir is where the package is inside.
	CodeDir string `json:"code_dir"`
	// MaxBytes bounds what is sent back; 0 means MaxCompiled.
	MaxBytes int64 `json:"max_bytes"`
}

// compiledName is what a compiled file may be called: Python's beside its
// source, V8's in a directory of its own.
var compiledName = regexp.MustCompile(`^(?:([^\x00-\x1f\x7f\\]+/)?__pycache__/[^/\x00-\x1f\x7f\\]+\.cpython-[0-9]{2,4}\.pyc|\.cove/v8/[A-Za-z0-9._-]+/[0-9a-f]{1,16})$`)

// ValidCompiledName says whether name, a slash-separated path within a package,
// is one that a compiled file may have. What comes from a sandbox is not to be
// trusted with any other.
func ValidCompiledName(name string) bool {
	return len(name) <= maxCompiledName && fs.ValidPath(name) && compiledName.MatchString(name)
}

// Compile has the shim translate the package that is mounted, so that no call
// has to: Python's bytecode, V8's code cache. Nothing of the package is run, but
// what does the translating reads hostile input, which is why it is done in a
// sandbox. It is called after Hello in place of Init, and the Conn is of no
// further use then: the sandbox is to be destroyed.
//
// file gets each file: its path within the package, of which ValidCompiledName has
// said yes, and its content, valid until it returns. An error of file ends it all
// and is returned. What cannot be translated is left out and is no error. ctx
// bounds the whole.
func (c *Conn) Compile(ctx context.Context, r CompileRequest, file func(name string, data []byte) error) error {
	if r.MaxBytes <= 0 || r.MaxBytes > MaxCompiled {
		r.MaxBytes = MaxCompiled
	}
	body, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode COMPILE: %w", err)
	}
	err = c.bounded(ctx, func() error {
		frame := append(beginFrame(make([]byte, 0, headerSize+len(body)), FrameCompile, 0), body...)
		endFrame(frame, 0)
		c.begun = false
		if _, err := c.c.Write(frame); err != nil {
			return writeError(err)
		}
		return c.compiled(r.MaxBytes, file)
	})
	if err == nil {
		_ = c.breaks(fmt.Errorf("%w: it was there to compile", ErrEnded))
	}
	return err
}

// CompiledShim says whether r's shim, as WriteShims wrote it into dir, has been
// compiled, or needs not be.
func CompiledShim(dir string, r Runtime) bool {
	if r.shim != "python" {
		return true // V8 compiles what it runs, and the shim is one small file.
	}
	_, err := os.Stat(filepath.Join(ShimDir(dir, r), compiledMark))
	return err == nil
}

// compiledMark is the last that CompileShim writes.
const compiledMark = "__pycache__/compiled"

// maxCompiledShim bounds what the shim's own files compiled may be, in bytes.
const maxCompiledShim = 4 << 20

// CompileShim has the shim translate itself and keeps that beside it in dir, so
// that no later start has to: it takes Python 8 ms and more each time. c is the
// Conn of a fresh stem cell without any package, after its Hello, and of no
// further use then; inside is where it sees its files, driver.ShimDir in a
// sandbox. What the interpreter of a runtime's image says here is run by
// the sandboxes of that runtime only.
func CompileShim(ctx context.Context, c *Conn, dir, inside string, r Runtime) error {
	root, err := os.OpenRoot(ShimDir(dir, r))
	if err != nil {
		return fmt.Errorf("compile the shim: %w", err)
	}
	defer root.Close()
	cache := path.Dir(compiledMark)
	// The shim's directory is read-only, also for who writes it without root's rights.
	defer func() { _ = root.Chmod(".", 0o555) }()
	if err := errors.Join(root.Chmod(".", 0o755), root.MkdirAll(cache, 0o755), root.Chmod(cache, 0o755)); err != nil {
		return fmt.Errorf("compile the shim: %w", err)
	}
	request := CompileRequest{CodeDir: inside, MaxBytes: maxCompiledShim}
	kept := 0
	keep := func(name string, data []byte) error {
		kept++
		if path.Dir(name) != cache {
			return protocolError("the shim compiled to %.100q", name)
		}
		return writeWhole(root, name, data)
	}
	if err := c.Compile(ctx, request, keep); err != nil {
		return fmt.Errorf("compile the shim: %w", err)
	}
	if kept == 0 {
		return errors.New("compile the shim: nothing came of it")
	}
	if err := writeWhole(root, compiledMark, nil); err != nil {
		return fmt.Errorf("compile the shim: %w", err)
	}
	return nil
}

// writeWhole writes a file that is there whole or not at all.
func writeWhole(root *os.Root, name string, data []byte) error {
	tmp := name + "." + rand.Text()
	f, err := root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o444), f.Sync(), f.Close()) // Whatever the umask.
	if err == nil {
		err = root.Rename(tmp, name)
	}
	if err != nil {
		_ = root.Remove(tmp)
	}
	return err
}

// compiled reads files until the shim says that there are no more.
func (c *Conn) compiled(left int64, file func(name string, data []byte) error) error {
	for range maxCompiledFiles {
		t, id, n, err := c.header()
		if err == nil && c.preparing && t == FramePrepared {
			if err = c.prepared(t, id, n); err == nil {
				continue
			}
		}
		switch {
		case err != nil:
			return err
		case t == FrameCompiled && id == 0 && n == 0:
			c.preparing = false
			return nil
		case t != FrameFile || id != 0 || n < 4 || n > 4+maxCompiledName+MaxPayload:
			return protocolError("frame %#x of %d bytes in answer to COMPILE", t, n)
		}
		b, err := c.body(n)
		if err != nil {
			return err
		}
		size := int64(binary.BigEndian.Uint32(b))
		if size > int64(n-4) || !ValidCompiledName(string(b[4:4+size])) {
			return protocolError("a compiled file with a name that it may not have")
		}
		data := b[4+size:]
		if left -= int64(len(data)); left < 0 {
			return protocolError("more compiled files than the limit")
		}
		if err := file(string(b[4:4+size]), data); err != nil {
			var told *cove.Error
			if errors.As(err, &told) { // Not the function's, and the stream is in the middle.
				err = fmt.Errorf("keep a compiled file: %s", told.Message)
			}
			return err
		}
	}
	return protocolError("more than %d compiled files", maxCompiledFiles)
}
