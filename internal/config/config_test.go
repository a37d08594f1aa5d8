package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/covefn/cove"
)

// TestMain takes away what configures a Cove in the environment: Make's targets
// export some of it.
func TestMain(m *testing.M) {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "COVE_") {
			_ = os.Unsetenv(name)
		}
	}
	os.Exit(m.Run())
}

// load is Load with args as flags.
func load(t *testing.T, args ...string) (Config, error) {
	t.Helper()
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	BindFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return Load(flags)
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cove.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// These tests set the environment, so none of them is parallel.

func TestAFlagWinsOverTheEnvironmentAndThatOverTheFile(t *testing.T) {
	path := writeFile(t, `
gateway = ":1"
api = "127.0.0.1:2"
start_timeout = "3s"
trusted_proxies = ["10.0.0.0/8", "192.168.0.0/16"]
`)
	t.Setenv("COVE_API", "http://127.0.0.1:22")
	t.Setenv("COVE_START_TIMEOUT", "33s")
	c, err := load(t, "--config", path, "--start-timeout", "44s", "--memory", "1GiB")
	if err != nil {
		t.Fatal(err)
	}
	if c.Gateway != ":1" || c.API != "127.0.0.1:22" || c.StartTimeout != 44*time.Second || c.Memory != cove.GiB {
		t.Errorf("got %+v", c)
	}
	if len(c.TrustedProxies) != 2 || c.TrustedProxies[1] != "192.168.0.0/16" {
		t.Errorf("trusted proxies: %q", c.TrustedProxies)
	}
	if c.BodyTimeout != 30*time.Second {
		t.Errorf("a setting that nobody gives has its default: %s", c.BodyTimeout)
	}
}

func TestAWrongSettingIsNamedWithItsPlace(t *testing.T) {
	for _, test := range []struct{ name, file, env, arg, want string }{
		{name: "unknown key in the file", file: `gatewya = ":1"`, want: `no setting "gatewya"`},
		{name: "section in the file", file: "[gateway]\na = 1", want: "no section [gateway]"},
		{name: "wrong type in the file", file: `start_timeout = "soon"`, want: "start_timeout"},
		{name: "wrong value in the environment", env: "COVE_MEMORY=lots", want: "COVE_MEMORY"},
		{name: "out of range", arg: "--drain-timeout=2h", want: "drain_timeout: 2h0m0s is outside of 100ms to 1h"},
		{name: "address without a port", arg: "--gateway=localhost", want: "gateway:"},
		{name: "stem cells by a word", env: "COVE_STEMS=many", want: "neither auto nor a number"},
		{name: "too many stem cells", file: "stems = 1000", want: "stems"},
		{name: "a share of more than all", env: "COVE_STEM_MEMORY=101%", want: "0% to 100%"},
		{name: "a share that is none", file: `stem_memory = "some"`, want: "10% or 512MiB"},
		{name: "too few connections", arg: "--max-connections=9", want: "max_connections"},
		{name: "idle for too long", arg: "--idle-timeout=2h", want: "idle_timeout"},
		{name: "unknown level", arg: "--log-level=loud", want: "debug, info, warn, error"},
		{name: "range that is none", arg: "--egress-range=fd00::/8", want: "egress_range"},
	} {
		t.Run(test.name, func(t *testing.T) {
			args := []string{"--config", writeFile(t, test.file)}
			if name, value, ok := strings.Cut(test.env, "="); ok {
				t.Setenv(name, value)
			}
			if test.arg != "" {
				args = append(args, test.arg)
			}
			_, err := load(t, args...)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want it to contain %q", err, test.want)
			}
		})
	}
}

func TestAConfigurationFileThatIsNamedMustExist(t *testing.T) {
	if _, err := load(t, "--config", filepath.Join(t.TempDir(), "none.toml")); err == nil {
		t.Error("no error")
	}
}

func TestAFileThatOthersCanWriteIsReadOnlyIfItIsNamed(t *testing.T) {
	path := writeFile(t, `runsc = "evil"`)
	t.Chdir(filepath.Dir(path))
	if c, err := load(t); err != nil || c.Runsc != "evil" {
		t.Errorf("one's own file: %q, %v", c.Runsc, err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := load(t); err == nil || !strings.Contains(err.Error(), "--config cove.toml") {
		t.Errorf("a file that everybody can write: %v", err)
	}
	if c, err := load(t, "--config", "cove.toml"); err != nil || c.Runsc != "evil" {
		t.Errorf("the same, named: %q, %v", c.Runsc, err)
	}
	if os.Geteuid() != 0 {
		return // Nobody else can give a file away.
	}
	if err := errors.Join(os.Chmod(path, 0o600), os.Chown(path, 65532, 65532)); err != nil {
		t.Fatal(err)
	}
	if _, err := load(t); err == nil {
		t.Error("a file of somebody else was read")
	}
}

func TestPathsAreMadeAbsoluteButNotNamesOfBinaries(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	c, err := load(t, "--runsc", "bin/runsc", "--runc", "runc", "--data", "data", "--images", "./images")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{here + "/bin/runsc", "runc", here + "/data", here + "/images"}
	if got := []string{c.Runsc, c.Runc, c.Data, c.Images}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
