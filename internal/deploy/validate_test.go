package deploy

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/covefn/cove"
)

func TestValidation(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for name, c := range map[string]struct {
		spoil    func(*cove.Config)
		field    string
		mentions string
	}{
		"no name":                      {func(c *cove.Config) { c.Name = "" }, "name", "missing"},
		"a name with capitals":         {func(c *cove.Config) { c.Name = "Hello" }, "name", "a-z"},
		"a name that is too long":      {func(c *cove.Config) { c.Name = strings.Repeat("a", 64) }, "name", "63"},
		"a name that ends in a dash":   {func(c *cove.Config) { c.Name = "a-" }, "name", "ending"},
		"a name with a line break":     {func(c *cove.Config) { c.Name = "a\n" }, "name", "a-z"},
		"a long description":           {func(c *cove.Config) { c.Description = strings.Repeat("ä", 257) }, "description", "256"},
		"no runtime":                   {func(c *cove.Config) { c.Runtime = "" }, "runtime", "python3.13"},
		"a mistyped runtime":           {func(c *cove.Config) { c.Runtime = "pyhton3.13" }, "runtime", "did you mean python3.13"},
		"an unknown runtime":           {func(c *cove.Config) { c.Runtime = "cobol85-enterprise" }, "runtime", "there are python3.13"},
		"a handler without a function": {func(c *cove.Config) { c.Handler = "main" }, "handler", "file.function"},
		"a handler that leaves":        {func(c *cove.Config) { c.Handler = "../x.handler" }, "handler", "not valid"},
		"a route without a slash":      {func(c *cove.Config) { c.Route = "hello" }, "route", "slash"},
		"an unknown method":            {func(c *cove.Config) { c.Methods = []string{"get", "FETCH"} }, "methods", "FETCH"},
		"a timeout that is too short":  {func(c *cove.Config) { c.Timeout = cove.Duration(time.Millisecond) }, "timeout", "100ms to 15m"},
		"a timeout that is too long":   {func(c *cove.Config) { c.Timeout = cove.Duration(time.Hour) }, "timeout", "100ms to 15m"},
		"a negative init timeout":      {func(c *cove.Config) { c.InitTimeout = -1 }, "init_timeout", "5m"},
		"a long queue timeout":         {func(c *cove.Config) { c.QueueTimeout = cove.Duration(time.Hour) }, "queue_timeout", "5m"},
		"too little memory":            {func(c *cove.Config) { c.Memory = cove.MiB }, "memory", "32MiB to 1GiB"},
		"too little for JavaScript":    {func(c *cove.Config) { c.Runtime, c.Memory = "node", 63*cove.MiB }, "memory", "64MiB"},
		"more memory than the host":    {func(c *cove.Config) { c.Memory = 2 * cove.GiB }, "memory", "1GiB"},
		"a processor that is none":     {func(c *cove.Config) { c.CPU = math.NaN() }, "cpu", "0.05 to 2"},
		"more processors than there":   {func(c *cove.Config) { c.CPU = 2.5 }, "cpu", "0.05 to 2"},
		"a tmp larger than memory":     {func(c *cove.Config) { c.Tmp = 200 * cove.MiB }, "tmp", "128MiB"},
		"a body that is too large":     {func(c *cove.Config) { c.MaxBody = 7 * cove.MiB }, "max_body", "6MiB"},
		"an unknown isolation":         {func(c *cove.Config) { c.Isolation = "chroot" }, "isolation", "gvisor, docker"},
		"an isolation out of order":    {func(c *cove.Config) { c.Isolation = "microvm" }, "isolation", "modprobe kvm"},
		"an unknown network":           {func(c *cove.Config) { c.Network = "all" }, "network", "egress"},
		"egress where there is none":   {func(c *cove.Config) { c.Network = cove.NetworkEgress }, "network", "gvisor"},
		"an unknown auth":              {func(c *cove.Config) { c.Auth = "basic" }, "auth", "token"},
		"min above max":                {func(c *cove.Config) { c.Scaling = cove.Scaling{Min: 3, Max: 2} }, "scaling.min", "2"},
		"a max that is too large":      {func(c *cove.Config) { c.Scaling.Max = 1001 }, "scaling.max", "1000"},
		"a negative queue":             {func(c *cove.Config) { c.Scaling.Queue = -1 }, "scaling.queue", "10000"},
		"a reservation above max":      {func(c *cove.Config) { c.Scaling = cove.Scaling{Max: 2, Reserved: 3} }, "scaling.reserved", "0 to scaling.max, 2"},
		"a negative reservation":       {func(c *cove.Config) { c.Scaling.Reserved = -1 }, "scaling.reserved", "0 to scaling.max"},
		"more reserved than there is":  {func(c *cove.Config) { c.Scaling.Reserved = 9 }, "scaling.reserved", "needs 1152MiB; all sandboxes together may have 1GiB"},
		"a negative concurrency":       {func(c *cove.Config) { c.Scaling.Concurrency = -1 }, "scaling.concurrency", "1 to 100"},
		"too high a concurrency":       {func(c *cove.Config) { c.Scaling.Concurrency = 101 }, "scaling.concurrency", "1 to 100"},
		"a short pause":                {func(c *cove.Config) { c.Scaling.Pause = cove.Duration(9 * time.Millisecond) }, "scaling.pause", "10ms to 24h"},
		"a long pause":                 {func(c *cove.Config) { c.Scaling.Pause = cove.Duration(25 * time.Hour) }, "scaling.pause", "10ms to 24h"},
		"an unknown policy":            {func(c *cove.Config) { c.Scaling.Policy = "eager" }, "scaling.policy", "adaptive or fixed"},
		"a short idle":                 {func(c *cove.Config) { c.Scaling.Idle = 1 }, "scaling.idle", "1s to 24h"},
		"an origin with a path":        {func(c *cove.Config) { c.CORS = &cove.CORS{Origins: []string{"https://a.b/c"}} }, "cors.origins", "https://a.b/c"},
		"no origin":                    {func(c *cove.Config) { c.CORS = &cove.CORS{} }, "cors.origins", "at least one"},
		"credentials for all":          {func(c *cove.Config) { c.CORS = &cove.CORS{Origins: []string{"*"}, Credentials: true} }, "cors.credentials", "*"},
		"a bad header":                 {func(c *cove.Config) { c.CORS = &cove.CORS{Origins: []string{"*"}, Headers: []string{"a b"}} }, "cors.headers", "a b"},
		"a bad name of a variable":     {func(c *cove.Config) { c.Env = cove.Env{"1A": {}} }, "env.1A", "digit"},
		"a reserved variable":          {func(c *cove.Config) { c.Env = cove.Env{"COVE_X": {}} }, "env.COVE_X", "reserved"},
		"a reserved variable of AWS":   {func(c *cove.Config) { c.Env = cove.Env{"AWS_LAMBDA_FUNCTION_NAME": {}} }, "env.AWS_LAMBDA_FUNCTION_NAME", "reserved"},
		"a variable with NUL":          {func(c *cove.Config) { c.Env = cove.Env{"A": {Value: "\x00"}} }, "env.A", "NUL"},
		"too many variables":           {func(c *cove.Config) { c.Env = cove.Env{"A": {Value: strings.Repeat("x", 4096)}} }, "env", "4097 bytes in all; the limit is 4096"},
		"an early secret":              {func(c *cove.Config) { c.Env = cove.Env{"PYTHONHASHSEED": {Value: "x", Secret: true}} }, "env.PYTHONHASHSEED", "cannot be secret"},
		"a proxy read at the start": {func(c *cove.Config) {
			c.Runtime, c.Handler, c.Env = "node", "index.handler", cove.Env{"NODE_USE_ENV_PROXY": {Value: "1"}, "HTTP_PROXY": {Value: "x", Secret: true}}
		}, "env.HTTP_PROXY", "cannot be secret"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := cove.Config{Name: "hello", Runtime: "python"}
			c.spoil(&cfg)
			_, err := f.Create(t.Context(), cfg, Code{})
			wantCode(t, err, cove.CodeInvalid)
			var e *cove.Error
			if !errors.As(err, &e) || len(e.Fields) != 1 || e.Fields[0].Field != c.field || !strings.Contains(e.Fields[0].Message, c.mentions) {
				t.Errorf("got %v, want field %s with %q", err, c.field, c.mentions)
			}
		})
	}

	t.Run("all wrong fields are told at once", func(t *testing.T) {
		t.Parallel()
		_, err := f.Create(t.Context(), cove.Config{Name: "X", Runtime: "x", Route: "x", Timeout: -1, CPU: -1}, Code{})
		var e *cove.Error
		if !errors.As(err, &e) || len(e.Fields) != 5 {
			t.Errorf("got %v", err)
		}
	})

	t.Run("no message tells the value of a variable", func(t *testing.T) {
		t.Parallel()
		_, err := f.Create(t.Context(), cove.Config{Name: "hello", Runtime: "python", Env: cove.Env{
			"1": {Value: "hunter2", Secret: true}, "COVE_": {Value: "hunter2"}, "LD_PRELOAD": {Value: "hunter2", Secret: true},
		}}, Code{})
		wantCode(t, err, cove.CodeInvalid)
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error is %q", err)
		}
	})

	t.Run("what is written differently is kept in one form", func(t *testing.T) {
		t.Parallel()
		fn, err := setup(t).Create(t.Context(), cove.Config{
			Name: "hello", Runtime: "nodejs", Methods: []string{"get", "POST", "GET"}, Isolation: "docker", Network: cove.NetworkEgress,
			CORS: &cove.CORS{Origins: []string{"HTTPS://App.example.com:8443"}}, Scaling: cove.Scaling{Min: 30},
		}, Code{})
		if err != nil {
			t.Fatal(err)
		}
		c := fn.Version.Config
		if !slices.Equal(c.Methods, []string{"GET", "POST"}) || c.CORS.Origins[0] != "https://app.example.com:8443" ||
			c.Runtime != "node26" || c.Handler != "index.handler" || c.Scaling.Max != 30 {
			t.Errorf("got %+v", c)
		}
	})

	t.Run("a function cannot be renamed", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.create(t, config("hello"))
		other := config("other")
		_, err := f.Update(t.Context(), "hello", Change{Config: &other})
		wantCode(t, err, cove.CodeInvalid, "renamed")
	})
}

func TestScaling(t *testing.T) {
	t.Parallel()
	scaled := func(name string, s cove.Scaling) cove.Config {
		c := config(name)
		c.Scaling = s
		return c
	}

	t.Run("what is not given has its default, what is given at a limit is kept", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		got := f.create(t, config("plain")).Version.Config.Scaling
		want := cove.Scaling{Max: 20, Idle: cove.Duration(5 * time.Minute), Queue: 100, Concurrency: 1, Pause: cove.Duration(10 * time.Second), Policy: cove.PolicyAdaptive}
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		want = cove.Scaling{Min: 1, Max: 4, Idle: cove.Duration(time.Second), Queue: 1, Concurrency: 100, Reserved: 4, Pause: cove.Duration(24 * time.Hour), Policy: cove.PolicyFixed}
		if got := f.create(t, scaled("given", want)).Version.Config.Scaling; got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if got := f.create(t, scaled("many", cove.Scaling{Reserved: 3, Min: 21})).Version.Config.Scaling; got.Max != 21 {
			t.Errorf("max does not follow: %+v", got)
		}
	})

	t.Run("functions cannot reserve more together than there is", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.create(t, scaled("one", cove.Scaling{Reserved: 6}))
		f.create(t, scaled("two", cove.Scaling{Reserved: 2}))
		_, err := f.Create(t.Context(), scaled("three", cove.Scaling{Reserved: 1}), Code{})
		wantCode(t, err, cove.CodeInvalid, "1GiB of that is reserved for other functions")
		less := scaled("one", cove.Scaling{Reserved: 5})
		f.update(t, "one", Change{Config: &less})
		f.create(t, scaled("three", cove.Scaling{Reserved: 1}))
		_, err = f.Rollback(t.Context(), "one", 1, 0)
		wantCode(t, err, cove.CodeConflict, "scaling.reserved")
	})

	t.Run("who keeps a reservation is not held up by less memory", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.create(t, scaled("one", cove.Scaling{Reserved: 8}))
		f.Limits.Memory = 512 * cove.MiB
		same := scaled("one", cove.Scaling{Reserved: 8})
		same.Description = "changed"
		f.update(t, "one", Change{Config: &same})
	})

	t.Run("what an isolation costs counts", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.Overhead = func(string) cove.ByteSize { return cove.MiB }
		_, err := f.Create(t.Context(), scaled("one", cove.Scaling{Reserved: 8}), Code{})
		wantCode(t, err, cove.CodeInvalid, "1032MiB")
	})

	t.Run("a version that an earlier Cove has kept has the defaults when it is read", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		cfg := f.create(t, config("hello")).Version.Config
		old := cove.Version{ID: "old", Function: "old", Created: time.Now(), Config: cfg}
		old.Config.Name, old.Config.Route = "old", "/old"
		old.Config.Scaling.Concurrency, old.Config.Scaling.Pause, old.Config.Scaling.Policy = 0, 0, ""
		if _, err := f.db.CreateFunction(t.Context(), old); err != nil {
			t.Fatal(err)
		}
		f.restart(t, f.db)
		versions, err := f.Versions(t.Context(), "old")
		if err != nil {
			t.Fatal(err)
		}
		for _, got := range []cove.Scaling{f.Active("old").Config.Scaling, versions[0].Config.Scaling} {
			if got != cfg.Scaling {
				t.Errorf("got %+v", got)
			}
		}
		again := config("old")
		if fn := f.update(t, "old", Change{Config: &again}); fn.Version.Number != 1 {
			t.Errorf("deploying the same made version %d", fn.Version.Number)
		}
	})
}
