package cli_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/api/apitest"
	"github.com/covefn/cove/internal/cli"
	"github.com/covefn/cove/internal/config"
	"github.com/covefn/cove/internal/driver"
)

var update = flag.Bool("update", false, "write the files in testdata")

func TestMain(m *testing.M) {
	testscript.Main(tests{m}, map[string]func(){
		"cove": func() {
			os.Exit(cli.Main(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr, backend()))
		},
	})
}

// tests looks for leaks when all tests have run.
type tests struct{ *testing.M }

// Run runs them.
func (t tests) Run() int {
	code := t.M.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func backend() cli.Backend {
	return cli.Backend{
		Version: "1.2.3",
		Serve: func(_ context.Context, cfg config.Config) error {
			_, err := fmt.Println("serving", cfg.Gateway)
			return err
		},
		Doctor: func(context.Context, config.Config) ([]driver.Report, error) {
			reports := []driver.Report{{Isolation: "docker", Reason: "no daemon answers", Fix: "systemctl start docker"}}
			if os.Getenv("TEST_NOTHING_WORKS") == "" {
				reports = append(reports, driver.Report{Isolation: "gvisor", Available: true, Version: "runsc 1", Features: []driver.Feature{driver.FeatureMount}, Overhead: 32 * cove.MiB, Notes: []string{"A remark."}})
			}
			return reports, nil
		},
	}
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", UpdateScripts: *update,
		Setup: func(e *testscript.Env) error {
			s := apitest.Start(e.T().(testing.TB))
			e.Setenv("COVE_API", s.URL)
			e.Setenv("COVE_TOKEN", s.Admin)
			e.Setenv("INVOKER", s.Invoker)
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("TZ", "UTC")
			note := filepath.Join(e.WorkDir, ".config", "cove")
			if err := os.MkdirAll(note, 0o700); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(note, "token"), []byte(s.Admin+"\n"), 0o600); err != nil {
				return err
			}
			text := fmt.Sprintf(`{"api":%q,"token_file":%q,"pid":1}`, s.URL, filepath.Join(note, "token"))
			return os.WriteFile(filepath.Join(note, "server.json"), []byte(text), 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// exits CODE COMMAND... checks the exit code.
			"exits": func(ts *testscript.TestScript, _ bool, args []string) {
				err := ts.Exec(args[1], args[2:]...)
				got := "0"
				if err != nil {
					got = strings.TrimPrefix(err.Error(), "exit status ")
				}
				if got != args[0] {
					ts.Fatalf("exit code %s, want %s", got, args[0])
				}
			},
		},
	})
}

// TestAnInterruptedDaemonTellsWhatWentWrongAtItsEnd ends a daemon by a signal.
func TestAnInterruptedDaemonTellsWhatWentWrongAtItsEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		code int
		says string
	}{
		{nil, 0, ""},
		{errors.New("2 sandboxes are left"), 1, "cove: 2 sandboxes are left\n"},
		{fmt.Errorf("start: %w", context.Canceled), 130, "cove: interrupted\n"},
	} {
		ctx, interrupt := context.WithCancel(t.Context())
		b := backend()
		b.Serve = func(context.Context, config.Config) error { interrupt(); return c.err }
		var errs bytes.Buffer
		if code := cli.Main(ctx, []string{"serve", "--data", t.TempDir()}, nil, io.Discard, &errs, b); code != c.code || errs.String() != c.says {
			t.Errorf("%v: exit code %d, %q", c.err, code, errs.String())
		}
		interrupt()
	}
}

// dataDir is the default of --data, which depends on the user.
var dataDir = regexp.MustCompile(`\(default "[^"]*/cove"\)`)

// TestHelp keeps every command's help, so that a change of it is seen.
func TestHelp(t *testing.T) {
	t.Parallel()
	for _, command := range []string{
		"", "warm", "recycle", "explain", "instances", "system", "serve", "init", "deploy", "ls", "get", "invoke", "logs", "invocations", "stats", "top", "rm", "versions", "rollback", "runtimes", "isolations",
		"doctor", "bench", "console", "user", "user add", "user ls", "user set", "user rm", "token", "token create", "token ls", "token rm", "audit", "settings", "settings set", "image", "completion", "version", "exit-codes",
	} {
		t.Run("help "+command, func(t *testing.T) {
			t.Parallel()
			var out, errs bytes.Buffer
			args := append(strings.Fields(command), "--help")
			if code := cli.Main(t.Context(), args, nil, &out, &errs, backend()); code != 0 || errs.Len() > 0 {
				t.Fatalf("exit code %d: %s", code, errs.String())
			}
			if !strings.Contains(out.String(), "Examples:") {
				t.Error("there is no example")
			}
			help := dataDir.ReplaceAll(out.Bytes(), []byte(`(default "DATA")`))
			path := filepath.Join("testdata", "help", strings.ReplaceAll("cove "+command, " ", "-")+".txt")
			if *update {
				if err := os.WriteFile(path, help, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(want, help) {
				t.Errorf("help differs from %s (%v); run: go test ./internal/cli -update\n%s", path, err, out.String())
			}
		})
	}
}
