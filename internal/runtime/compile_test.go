package runtime_test

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/covefn/cove/internal/runtime"
)

// compiledFile is the body of a FILE.
func compiledFile(name, data string) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(name)))) + name + data
}

func TestCompile(t *testing.T) {
	t.Parallel()
	// compile answers COMPILE with frames.
	compile := func(t *testing.T, r runtime.CompileRequest, frames []byte, file func(string, []byte) error) (*runtime.Conn, error) {
		t.Helper()
		c, p := pair(t, runtime.Options{})
		p.serve(func(runtime.FrameType, uint64, []byte) []byte { return frames })
		return c, c.Compile(t.Context(), r, file)
	}
	end := frame(runtime.FrameCompiled, 0, "")
	t.Run("files arrive in order and the sandbox is spent", func(t *testing.T) {
		t.Parallel()
		var got []string
		frames := append(frame(runtime.FrameFile, 0, compiledFile("__pycache__/main.cpython-313.pyc", "a")),
			frame(runtime.FrameFile, 0, compiledFile(".cove/v8/v26.1-x64-0/0af3", "b"))...)
		c, err := compile(t, runtime.CompileRequest{}, append(frames, end...), func(name string, data []byte) error {
			got = append(got, name+"="+string(data))
			return nil
		})
		if err != nil || strings.Join(got, " ") != "__pycache__/main.cpython-313.pyc=a .cove/v8/v26.1-x64-0/0af3=b" {
			t.Errorf("%q, %v", got, err)
		}
		if c.Usable() {
			t.Error("usable")
		}
	})
	t.Run("a name that is not one of a compiled file breaks the protocol", func(t *testing.T) {
		t.Parallel()
		for _, name := range []string{
			"", "main.py", "../__pycache__/main.cpython-313.pyc", "/__pycache__/main.cpython-313.pyc", "a/../__pycache__/m.cpython-313.pyc",
			"__pycache__/../main.cpython-313.pyc", "__pycache__/main.pyc", "__pycache__/a\\b.cpython-313.pyc", "__pycache__/a\nb.cpython-313.pyc",
			".cove/v8/x", ".cove/v8/../0af3", ".cove/v8/a/b/0af3", ".cove/v8/a/index.js", ".cove/mark", "a/.cove/v8/a/0af3",
			strings.Repeat("a/", 600) + "__pycache__/m.cpython-313.pyc",
		} {
			c, err := compile(t, runtime.CompileRequest{}, append(frame(runtime.FrameFile, 0, compiledFile(name, "x")), end...), func(name string, _ []byte) error {
				t.Errorf("%q was taken", name)
				return nil
			})
			if !errors.Is(err, runtime.ErrProtocol) || c.Usable() {
				t.Errorf("%q: %v", name, err)
			}
		}
	})
	t.Run("more than the limit breaks the protocol", func(t *testing.T) {
		t.Parallel()
		frames := append(frame(runtime.FrameFile, 0, compiledFile("__pycache__/main.cpython-313.pyc", "0123456789")), end...)
		_, err := compile(t, runtime.CompileRequest{MaxBytes: 9}, frames, func(string, []byte) error { return nil })
		if !errors.Is(err, runtime.ErrProtocol) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("an error of who takes the files is returned", func(t *testing.T) {
		t.Parallel()
		full := errors.New("no room")
		frames := append(frame(runtime.FrameFile, 0, compiledFile("__pycache__/main.cpython-313.pyc", "x")), end...)
		_, err := compile(t, runtime.CompileRequest{}, frames, func(string, []byte) error { return full })
		if !errors.Is(err, full) {
			t.Errorf("error %v", err)
		}
	})
}
