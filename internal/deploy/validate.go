package deploy

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"regexp"
	goruntime "runtime"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/route"
	"github.com/covefn/cove/internal/runtime"
)

// Limits are those that depend on the host or its owner. What is zero takes
// its default.
type Limits struct {
	// Memory and CPU are the most that one function may ask for; 64 GiB and
	// the number of processors.
	Memory cove.ByteSize
	CPU    float64
	// Env bounds the names and values of one function's environment in all;
	// 4 KiB.
	Env cove.ByteSize
}

func (l Limits) withDefaults() Limits {
	l.Memory = cmp.Or(l.Memory, 64*cove.GiB)
	l.CPU = cmp.Or(l.CPU, float64(goruntime.NumCPU()))
	l.Env = cmp.Or(l.Env, 4*cove.KiB)
	return l
}

// The least memory in which a runtime starts, by its language.
const (
	minMemory       = 32 * cove.MiB
	minMemoryScript = 64 * cove.MiB
)

// checker checks one configuration and fills in its defaults. It collects what
// is wrong instead of stopping at the first.
type checker struct {
	limits    Limits
	runtimes  *runtime.Catalogue
	isolation string
	// reports is what the host can run; nil when that is not known.
	reports []driver.Report
	// old is the configuration that this one replaces; nil for none.
	old *cove.Config
	// overhead is what a sandbox of an isolation costs beside its function, and
	// reserved what other functions have reserved.
	overhead func(isolation string) cove.ByteSize
	reserved func() cove.ByteSize
	wrong    []cove.FieldError
}

func (c *checker) bad(field, format string, args ...any) {
	c.wrong = append(c.wrong, cove.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
}

// run is cfg complete, or the error that names every wrong field. It may
// change what cfg points to.
func (c *checker) run(name string, cfg cove.Config) (cove.Config, error) {
	if c.old != nil && cfg.Name == "" {
		cfg.Name = name
	}
	if c.old != nil && cfg.Name != name {
		c.bad("name", "is %q and the function's is %q: a function cannot be renamed", short(cfg.Name), name)
	}
	c.name(cfg.Name)
	c.description(cfg.Description)
	c.runtime(&cfg)
	c.door(&cfg)
	c.times(&cfg)
	c.sizes(&cfg)
	c.env(&cfg)
	c.place(&cfg)
	c.cors(cfg.CORS)
	c.scaling(&cfg)
	if c.wrong != nil {
		return cfg, cove.InvalidFields(c.wrong)
	}
	return cfg, nil
}

var label = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

func (c *checker) name(name string) {
	if name == "" {
		c.bad("name", "is missing")
	} else if !label.MatchString(name) {
		c.bad("name", "%q is no name: 1 to 63 of a-z, 0-9 and '-', beginning with a letter and not ending with '-'", short(name))
	}
}

func (c *checker) description(text string) {
	switch {
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		c.bad("description", "must be one line of text")
	case utf8.RuneCountInString(text) > 256:
		c.bad("description", "is %d characters long; the limit is 256", utf8.RuneCountInString(text))
	}
}

func (c *checker) runtime(cfg *cove.Config) {
	least := minMemory
	rt, ok := c.runtimes.Lookup(cfg.Runtime)
	if ok {
		cfg.Runtime = rt.Name
		cfg.Handler = cmp.Or(cfg.Handler, rt.DefaultHandler)
		// Whether the file is there is checked with the package.
		if _, err := rt.HandlerFile(cfg.Handler, func(string) bool { return true }); err != nil {
			c.bad("handler", "%v", err)
		}
		if rt.Language == "javascript" {
			least = minMemoryScript
		}
	} else {
		c.unknownRuntime(cfg.Runtime)
	}
	cfg.Memory = cmp.Or(cfg.Memory, min(128*cove.MiB, c.limits.Memory))
	if cfg.Memory < least || cfg.Memory > c.limits.Memory {
		c.bad("memory", "is %s; it must be from %s to %s", cfg.Memory, least, c.limits.Memory)
	}
}

func (c *checker) unknownRuntime(name string) {
	var known, names []string
	for _, rt := range c.runtimes.All() {
		known = append(known, rt.Name)
		names = append(append(names, rt.Name), rt.Aliases...)
	}
	list := strings.Join(known, ", ")
	if name == "" {
		c.bad("runtime", "is missing; there are %s", list)
		return
	}
	guess := ""
	if near := nearest(name, names); near != "" {
		guess = fmt.Sprintf("did you mean %s? ", near)
	}
	c.bad("runtime", "%q is not known; %sthere are %s", short(name), guess, list)
}

// door checks what the gateway does with the function.
func (c *checker) door(cfg *cove.Config) {
	if cfg.Route != "" {
		if _, err := route.Parse(cfg.Route); err != nil {
			c.merge("route", err)
		}
	}
	cfg.Methods = c.methods("methods", cfg.Methods)
	switch cfg.Auth = cmp.Or(cfg.Auth, cove.AuthPublic); cfg.Auth {
	case cove.AuthPublic, cove.AuthToken:
	default:
		c.bad("auth", "%q is not known; use %s or %s", short(string(cfg.Auth)), cove.AuthPublic, cove.AuthToken)
	}
}

// merge takes over what another package found.
func (c *checker) merge(field string, err error) {
	var known *cove.Error
	if errors.As(err, &known) && len(known.Fields) > 0 {
		c.wrong = append(c.wrong, known.Fields...)
		return
	}
	c.bad(field, "%v", err)
}

var httpMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

func (c *checker) methods(field string, methods []string) []string {
	var clean []string
	for _, m := range methods {
		m = strings.ToUpper(strings.TrimSpace(m))
		if !slices.Contains(httpMethods, m) {
			c.bad(field, "%q is not allowed; use some of %s", short(m), strings.Join(httpMethods, ", "))
			continue
		}
		if !slices.Contains(clean, m) {
			clean = append(clean, m)
		}
	}
	return clean
}

func (c *checker) times(cfg *cove.Config) {
	c.duration("timeout", &cfg.Timeout, 10*time.Second, 100*time.Millisecond, 15*time.Minute)
	c.duration("init_timeout", &cfg.InitTimeout, 10*time.Second, 100*time.Millisecond, 5*time.Minute)
	c.duration("queue_timeout", &cfg.QueueTimeout, 10*time.Second, time.Millisecond, 5*time.Minute)
}

func (c *checker) duration(field string, d *cove.Duration, normal, least, most time.Duration) {
	if *d == 0 {
		*d = cove.Duration(normal)
	}
	if d.Std() < least || d.Std() > most {
		c.bad(field, "is %s; it must be from %s to %s", *d, cove.Duration(least), cove.Duration(most))
	}
}

// sizes checks what the sandbox is given; memory is checked with the runtime.
func (c *checker) sizes(cfg *cove.Config) {
	cfg.CPU = cmp.Or(cfg.CPU, min(1, c.limits.CPU))
	if math.IsNaN(cfg.CPU) || cfg.CPU < 0.05 || cfg.CPU > c.limits.CPU {
		c.bad("cpu", "is %g; it must be from 0.05 to %g", cfg.CPU, c.limits.CPU)
	}
	cfg.Tmp = cmp.Or(cfg.Tmp, max(cove.MiB, min(64*cove.MiB, cfg.Memory/2)))
	if cfg.Tmp < cove.MiB || cfg.Tmp > max(cfg.Memory, cove.MiB) {
		c.bad("tmp", "is %s; it must be from 1MiB to the function's memory, %s, which it is a part of", cfg.Tmp, cfg.Memory)
	}
	cfg.MaxBody = cmp.Or(cfg.MaxBody, 6*cove.MiB)
	if cfg.MaxBody < cove.KiB || cfg.MaxBody > 6*cove.MiB {
		c.bad("max_body", "is %s; it must be from 1KiB to 6MiB", cfg.MaxBody)
	}
}

func (c *checker) scaling(cfg *cove.Config) {
	s := &cfg.Scaling
	complete(s)
	s.Max, s.Queue = cmp.Or(s.Max, max(20, min(max(s.Min, s.Reserved), maxInstances))), cmp.Or(s.Queue, 100)
	if s.Max < 1 || s.Max > maxInstances {
		c.bad("scaling.max", "is %d; it must be from 1 to %d", s.Max, maxInstances)
	}
	if s.Min < 0 || s.Min > s.Max {
		c.bad("scaling.min", "is %d; it must be from 0 to scaling.max, %d", s.Min, s.Max)
	}
	if s.Queue < 0 || s.Queue > 10_000 {
		c.bad("scaling.queue", "is %d; it must be from 1 to 10000 (0 means 100)", s.Queue)
	}
	c.duration("scaling.idle", &s.Idle, 5*time.Minute, time.Second, 24*time.Hour)
	if s.Concurrency < 1 || s.Concurrency > maxConcurrency {
		c.bad("scaling.concurrency", "is %d; it must be from 1 to %d", s.Concurrency, maxConcurrency)
	}
	c.duration("scaling.pause", &s.Pause, normalPause, minPause, maxPause)
	switch s.Policy {
	case cove.PolicyAdaptive, cove.PolicyFixed:
	default:
		c.bad("scaling.policy", "%q is not known; use %s or %s", short(string(s.Policy)), cove.PolicyAdaptive, cove.PolicyFixed)
	}
	if s.Reserved < 0 || s.Reserved > s.Max {
		c.bad("scaling.reserved", "is %d; it must be from 0 to scaling.max, %d", s.Reserved, s.Max)
	} else if s.Max <= maxInstances {
		c.reservation(cfg)
	}
}

// reservation refuses to promise memory that there is not. A function that keeps
// what it has is not held up by a budget that has become smaller.
func (c *checker) reservation(cfg *cove.Config) {
	needs := c.needs(cfg)
	if needs == 0 || c.old != nil && needs <= c.needs(c.old) {
		return
	}
	switch others := c.reserved(); {
	case needs > c.limits.Memory:
		c.bad("scaling.reserved", "is %d, which needs %s; all sandboxes together may have %s (setting memory)", cfg.Scaling.Reserved, needs, c.limits.Memory)
	case needs > c.limits.Memory-others:
		c.bad("scaling.reserved", "is %d, which needs %s; all sandboxes together may have %s (setting memory), and %s of that is reserved for other functions",
			cfg.Scaling.Reserved, needs, c.limits.Memory, others)
	}
}

// needs is the memory that cfg's reservation takes.
func (c *checker) needs(cfg *cove.Config) cove.ByteSize {
	return reservationOf(cfg, c.overhead)
}

func reservationOf(cfg *cove.Config, overhead func(isolation string) cove.ByteSize) cove.ByteSize {
	return cove.ByteSize(cfg.Scaling.Reserved) * (cfg.Memory + overhead(cfg.Isolation))
}

// place checks the isolation and the network. A function that keeps what it
// has is not held up by an isolation that is out of order at the moment.
func (c *checker) place(cfg *cove.Config) {
	cfg.Isolation = cmp.Or(cfg.Isolation, c.isolation)
	switch cfg.Network = cmp.Or(cfg.Network, cove.NetworkNone); cfg.Network {
	case cove.NetworkNone, cove.NetworkEgress:
	default:
		c.bad("network", "%q is not known; use %s or %s", short(string(cfg.Network)), cove.NetworkNone, cove.NetworkEgress)
	}
	if c.reports == nil || c.old != nil && c.old.Isolation == cfg.Isolation && c.old.Network == cfg.Network {
		return
	}
	i := slices.IndexFunc(c.reports, func(r driver.Report) bool { return r.Isolation == cfg.Isolation })
	if i < 0 {
		names := make([]string, len(c.reports))
		for i, r := range c.reports {
			names[i] = r.Isolation
		}
		c.bad("isolation", "%q is not known; there are %s", short(cfg.Isolation), strings.Join(names, ", "))
		return
	}
	switch r := c.reports[i]; {
	case !r.Available && r.Fix != "":
		c.bad("isolation", "%s is not available on this host: %s; to mend it: %s", cfg.Isolation, r.Reason, r.Fix)
	case !r.Available:
		c.bad("isolation", "%s is not available on this host: %s", cfg.Isolation, r.Reason)
	case cfg.Network == cove.NetworkEgress && !slices.Contains(r.Features, driver.FeatureEgress):
		c.bad("network", "%s cannot give a function egress on this host", cfg.Isolation)
	}
}

// short is s for a message: not longer than anybody wants to read.
func short(s string) string {
	if len(s) <= 80 {
		return s
	}
	return strings.ToValidUTF8(s[:80], "") + "…"
}
