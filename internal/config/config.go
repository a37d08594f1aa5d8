// Package config turns defaults, a file, the environment and flags into one
// checked struct. Every setting has the same name in all of them: the flag
// --start-timeout is COVE_START_TIMEOUT in the environment and start_timeout in
// cove.toml. A flag wins over the environment, that over the file, that over the
// default.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/spf13/pflag"

	"github.com/covefn/cove"
)

// Config is everything that `cove serve` can be told.
type Config struct {
	// Data is the directory that holds all state. One daemon at a time.
	Data string
	// Gateway and API are the addresses of the two doors, "host:port".
	Gateway string
	API     string
	// Images is the directory of the runtime images; "" is Data/images.
	Images string
	// Runsc and Runc are the binaries of the OCI runtimes; "" looks beside the
	// cove binary and then on the PATH.
	Runsc string
	Runc  string
	// DockerHost is the Docker Engine's address; "" is the usual socket.
	DockerHost string
	// Isolation is what a function gets that names none.
	Isolation string
	// Memory is what all sandboxes together may reserve; 0 is 80 % of the host's.
	Memory cove.ByteSize
	// Stems is how many stem cells are kept of a kind at most, and StemMemory what
	// all of them may reserve of Memory.
	Stems      Stems
	StemMemory Share
	// EgressRange is where the addresses of sandboxes with egress come from; ""
	// takes a network that no route of the host overlaps.
	EgressRange string
	// TrustedProxies are networks whose X-Forwarded-* headers are believed.
	TrustedProxies []string
	// EnvLimit bounds the environment variables of one function in all.
	EnvLimit cove.ByteSize
	// KeepVersions is how many versions of a function are kept.
	KeepVersions int

	// MaxConnections is how many connections the gateway has open at most.
	MaxConnections int

	// StartTimeout bounds the making of a sandbox, HeadTimeout and BodyTimeout
	// the arrival of a request, WriteTimeout an answer's lack of progress,
	// IdleTimeout the time between the requests of a connection, DrainTimeout the
	// end of the daemon.
	StartTimeout time.Duration
	HeadTimeout  time.Duration
	BodyTimeout  time.Duration
	WriteTimeout time.Duration
	IdleTimeout  time.Duration
	DrainTimeout time.Duration

	// OTLPEndpoint is where traces are sent, "" for nowhere: the URL of a collector
	// of OpenTelemetry.
	OTLPEndpoint string

	// LogLevel is debug, info, warn or error; LogFormat text or json.
	LogLevel  string
	LogFormat string
}

// fileFlag names the configuration file itself.
const fileFlag = "config"

// BindFlags adds a flag for every setting to flags, with its default.
func BindFlags(flags *pflag.FlagSet) { bind(flags, &Config{}) }

func bind(f *pflag.FlagSet, c *Config) {
	f.String(fileFlag, "", "configuration `file` (default ./cove.toml, else /etc/cove/cove.toml, where there is one)")
	f.StringVar(&c.Data, "data", defaultData(), "`directory` that holds all state")
	f.StringVar(&c.Gateway, "gateway", ":8080", "`address` of the gateway, where functions' routes are served")
	f.StringVar(&c.API, "api", "127.0.0.1:7070", "`address` of the control API")
	f.StringVar(&c.Images, "images", "", "`directory` of the runtime images (default DATA/images)")
	f.StringVar(&c.Runsc, "runsc", "", "gVisor's `binary` (default: beside cove, then on the PATH)")
	f.StringVar(&c.Runc, "runc", "", "runc's `binary` (default: beside cove, then on the PATH)")
	f.StringVar(&c.DockerHost, "docker-host", "", "Docker Engine's `address` (default: DOCKER_HOST, then unix:///var/run/docker.sock)")
	f.StringVar(&c.Isolation, "isolation", "gvisor", "`isolation` of functions that name none")
	f.TextVar(&c.Memory, "memory", cove.ByteSize(0), "`size` of memory that all sandboxes may reserve (0: 80 % of the host's)")
	f.TextVar(&c.Stems, "stems", AutoStems, "`number` of started sandboxes without a function (stem cells) kept at most of each runtime and isolation: auto, by demand; 0, none")
	f.TextVar(&c.StemMemory, "stem-memory", AutoShare(), "`share` of --memory that stem cells may reserve: 10%, or a size such as 512MiB; auto, 10 % and up to a quarter where one of each kind needs that")
	f.StringVar(&c.EgressRange, "egress-range", "", "IPv4 `network` from which sandboxes with egress get addresses (default: one that no route of the host overlaps)")
	f.StringSliceVar(&c.TrustedProxies, "trusted-proxies", nil, "`networks` of proxies whose X-Forwarded-* headers are believed")
	f.TextVar(&c.EnvLimit, "env-limit", 4*cove.KiB, "`size` of one function's environment variables in all")
	f.IntVar(&c.KeepVersions, "keep-versions", 50, "`number` of versions kept of each function")
	f.DurationVar(&c.StartTimeout, "start-timeout", 30*time.Second, "longest `time` to make a sandbox")
	f.DurationVar(&c.HeadTimeout, "head-timeout", 10*time.Second, "longest `time` for a request's head to arrive")
	f.DurationVar(&c.BodyTimeout, "body-timeout", 30*time.Second, "longest `time` for a request's body to arrive")
	f.DurationVar(&c.WriteTimeout, "write-timeout", 30*time.Second, "longest `time` an answer may make no progress")
	f.DurationVar(&c.IdleTimeout, "idle-timeout", 2*time.Minute, "longest `time` between the requests of a connection")
	f.IntVar(&c.MaxConnections, "max-connections", 10_000, "`number` of connections that the gateway has open at most; beyond it those without a request are closed")
	f.DurationVar(&c.DrainTimeout, "drain-timeout", 30*time.Second, "longest `time` to finish requests after SIGTERM")
	f.StringVar(&c.OTLPEndpoint, "otlp-endpoint", "", "`URL` of an OpenTelemetry collector to which traces are sent by OTLP/HTTP, such as http://127.0.0.1:4318 (default: none are made)")
	f.StringVar(&c.LogLevel, "log-level", "info", "`level` of the log: debug, info, warn, error")
	f.StringVar(&c.LogFormat, "log-format", "text", "`format` of the log: text, json")
}

func defaultData() string {
	if os.Geteuid() == 0 {
		return "/var/lib/cove"
	}
	if dir := os.Getenv("XDG_DATA_HOME"); dir != "" {
		return filepath.Join(dir, "cove")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "cove-data"
	}
	return filepath.Join(home, ".local", "share", "cove")
}

// Load reads every setting in the order of the package comment. given holds the
// parsed flags that BindFlags made; the environment and the file are read here.
// A setting that is wrong is told with the name and the place it came from.
func Load(given *pflag.FlagSet) (Config, error) {
	var c Config
	flags := pflag.NewFlagSet("config", pflag.ContinueOnError)
	bind(flags, &c)
	file, err := readFile(setting(given, fileFlag))
	if err != nil {
		return Config{}, err
	}
	var errs []error
	flags.VisitAll(func(f *pflag.Flag) {
		if err := fill(f, given, file); err != nil {
			errs = append(errs, err)
		}
	})
	for key := range file.values {
		errs = append(errs, fmt.Errorf("%s: there is no setting %q", file.path, key))
	}
	if err := errors.Join(errs...); err != nil {
		return Config{}, err
	}
	return c, c.check()
}

// fill gives f the value of the strongest source that has one, and takes it out
// of file.
func fill(f *pflag.Flag, given *pflag.FlagSet, file *source) error {
	key := strings.ReplaceAll(f.Name, "-", "_")
	inFile, isInFile := file.values[key]
	delete(file.values, key)
	var from string
	var err error
	switch g, env := given.Lookup(f.Name), envName(f.Name); {
	case f.Name == fileFlag:
	case g != nil && g.Changed:
		from, err = "--"+f.Name, copyValue(f, g)
	case os.Getenv(env) != "":
		from, err = env, f.Value.Set(os.Getenv(env))
	case isInFile:
		from, err = file.path+": "+key, f.Value.Set(inFile)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	return nil
}

func copyValue(to, from *pflag.Flag) error {
	if list, ok := from.Value.(pflag.SliceValue); ok {
		return to.Value.(pflag.SliceValue).Replace(list.GetSlice())
	}
	return to.Value.Set(from.Value.String())
}

func envName(flag string) string {
	return "COVE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func setting(given *pflag.FlagSet, name string) string {
	if f := given.Lookup(name); f != nil && f.Changed {
		return f.Value.String()
	}
	return os.Getenv(envName(name))
}

// source is what a configuration file says, each value as text.
type source struct {
	path   string
	values map[string]string
}

func readFile(path string) (*source, error) {
	candidates, must := []string{path}, true
	if path == "" {
		candidates, must = []string{"cove.toml", "/etc/cove/cove.toml"}, false
	}
	for _, p := range candidates {
		data, err := os.ReadFile(p)
		if errors.Is(err, fs.ErrNotExist) && !must {
			continue
		}
		if err == nil && !must {
			err = trusted(p)
		}
		if err != nil {
			return nil, fmt.Errorf("read the configuration file: %w", err)
		}
		return parseFile(p, string(data))
	}
	return &source{}, nil
}

// trusted is an error if somebody else may have written the file, which was found
// and not named: it says which programs are run, and a directory that one
// merely happens to be in may be anybody's.
func trusted(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	owner := os.Geteuid()
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		owner = int(stat.Uid)
	}
	if owner != 0 && owner != os.Geteuid() || info.Mode().Perm()&0o002 != 0 {
		return fmt.Errorf("%s can be written by others than you: use it with --%s %s, or go to another directory", path, fileFlag, path)
	}
	return nil
}

func parseFile(path, text string) (*source, error) {
	var raw map[string]any
	if _, err := toml.Decode(text, &raw); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s := &source{path: path, values: map[string]string{}}
	for key, v := range raw {
		switch v := v.(type) {
		case map[string]any:
			return nil, fmt.Errorf("%s: there is no section [%s]", path, key)
		case []any:
			parts := make([]string, len(v))
			for i, p := range v {
				parts[i] = fmt.Sprint(p)
			}
			s.values[key] = strings.Join(parts, ",")
		default:
			s.values[key] = fmt.Sprint(v)
		}
	}
	return s, nil
}

// check finds what is wrong beyond a single value's form, and makes paths and
// addresses canonical.
func (c *Config) check() error {
	data, err := filepath.Abs(c.Data)
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	c.Data = data
	if c.Images == "" {
		c.Images = filepath.Join(c.Data, "images")
	}
	// What is started with these has another working directory. A bare name of a
	// binary is one to be found on the PATH.
	for name, path := range map[string]*string{"images": &c.Images, "runsc": &c.Runsc, "runc": &c.Runc} {
		if !strings.Contains(*path, "/") {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	// COVE_API also tells the command line where the server is, as a URL.
	c.API = strings.TrimSuffix(strings.TrimPrefix(c.API, "http://"), "/")
	for name, addr := range map[string]string{"gateway": c.Gateway, "api": c.API} {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return fmt.Errorf("%s: %q is no address: write host:port, such as 127.0.0.1:8080 or :8080", name, addr)
		}
	}
	for name, d := range map[string]time.Duration{
		"start_timeout": c.StartTimeout, "head_timeout": c.HeadTimeout, "body_timeout": c.BodyTimeout,
		"write_timeout": c.WriteTimeout, "idle_timeout": c.IdleTimeout, "drain_timeout": c.DrainTimeout,
	} {
		if d < 100*time.Millisecond || d > time.Hour {
			return fmt.Errorf("%s: %s is outside of 100ms to 1h", name, d)
		}
	}
	if p, err := netip.ParsePrefix(c.EgressRange); c.EgressRange != "" && (err != nil || !p.Addr().Is4() || p.Bits() > 28) {
		return fmt.Errorf("egress_range: %q is no IPv4 network of at least 16 addresses, such as 100.96.0.0/16", c.EgressRange)
	}
	for _, s := range c.TrustedProxies {
		if _, err := netip.ParsePrefix(s); err != nil {
			return fmt.Errorf("trusted_proxies: %q is no network, such as 10.0.0.0/8", s)
		}
	}
	if c.MaxConnections < 10 || c.MaxConnections > 1_000_000 {
		return fmt.Errorf("max_connections: %d is outside of 10 to 1000000", c.MaxConnections)
	}
	if c.KeepVersions < 2 || c.KeepVersions > 10_000 {
		return fmt.Errorf("keep_versions: %d is outside of 2 to 10000", c.KeepVersions)
	}
	if c.EnvLimit < 1 || c.EnvLimit > cove.MiB {
		return fmt.Errorf("env_limit: %s is outside of 1B to 1MiB", c.EnvLimit)
	}
	return oneOf(map[string][]string{
		"log_level":  {c.LogLevel, "debug", "info", "warn", "error"},
		"log_format": {c.LogFormat, "text", "json"},
	})
}

// oneOf checks that the first string of each list is among the others.
func oneOf(settings map[string][]string) error {
	for name, s := range settings {
		found := false
		for _, allowed := range s[1:] {
			found = found || s[0] == allowed
		}
		if !found {
			return fmt.Errorf("%s: %q is none of %s", name, s[0], strings.Join(s[1:], ", "))
		}
	}
	return nil
}
