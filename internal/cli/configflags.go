package cli

import (
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/covefn/cove"
)

// configFlags are the fields of cove.yaml as flags. What is given wins over the
// file.
type configFlags struct {
	cfg         cove.Config
	cors        cove.CORS
	env, secret []string
	network     string
	auth        string
	policy      string
}

func (c *configFlags) bind(f *pflag.FlagSet) {
	f.StringVar(&c.cfg.Name, "name", "", "`name` of the function")
	f.StringVar(&c.cfg.Description, "description", "", "`text` for people")
	f.StringVar(&c.cfg.Runtime, "runtime", "", "`runtime`: python, node, or a version such as python3.13")
	f.StringVar(&c.cfg.Handler, "handler", "", "`file.function` to call")
	f.StringVar(&c.cfg.Route, "route", "", "path `pattern` on the gateway, such as /hello/{name}")
	f.StringSliceVar(&c.cfg.Methods, "methods", nil, "HTTP `methods` of the route (default all)")
	f.TextVar(&c.cfg.Timeout, "timeout", cove.Duration(0), "longest `time` of one run")
	f.TextVar(&c.cfg.InitTimeout, "init-timeout", cove.Duration(0), "longest `time` to load the handler")
	f.TextVar(&c.cfg.QueueTimeout, "queue-timeout", cove.Duration(0), "longest `time` to wait for an instance")
	f.TextVar(&c.cfg.Memory, "memory", cove.ByteSize(0), "memory of the whole sandbox, a `size` such as 256MiB")
	f.Float64Var(&c.cfg.CPU, "cpu", 0, "`number` of processors; 0.5 is half of one")
	f.TextVar(&c.cfg.Tmp, "tmp", cove.ByteSize(0), "`size` of /tmp, in memory")
	f.TextVar(&c.cfg.MaxBody, "max-body", cove.ByteSize(0), "largest body of a request, a `size`")
	f.StringArrayVar(&c.env, "env", nil, "environment variable `NAME=VALUE`; may be repeated")
	f.StringArrayVar(&c.secret, "secret", nil, "secret variable `NAME=VALUE`, or NAME for the value it has in this environment; may be repeated")
	f.StringVar(&c.cfg.Isolation, "isolation", "", "`isolation`: gvisor, docker, runc (default the server's)")
	f.StringVar(&c.network, "network", "", "`network`: none or egress")
	f.StringVar(&c.auth, "auth", "", "`access` to the route: public, or token")
	f.StringSliceVar(&c.cors.Origins, "cors-origins", nil, "`origins` of browsers that may call the route")
	f.IntVar(&c.cfg.Scaling.Min, "scaling-min", 0, "`number` of instances kept even when idle")
	f.IntVar(&c.cfg.Scaling.Max, "scaling-max", 0, "`number` of instances at most")
	f.IntVar(&c.cfg.Scaling.Reserved, "scaling-reserved", 0, "`number` of instances for which memory is kept free of other functions")
	f.IntVar(&c.cfg.Scaling.Concurrency, "scaling-concurrency", 0, "`number` of requests that one instance serves at once (default 1)")
	f.IntVar(&c.cfg.Scaling.Queue, "scaling-queue", 0, "`number` of requests that may wait")
	f.TextVar(&c.cfg.Scaling.Idle, "scaling-idle", cove.Duration(0), "`time` that an idle instance is kept")
	f.TextVar(&c.cfg.Scaling.Pause, "scaling-pause", cove.Duration(0), "`time` after which an idle instance is frozen; longer than scaling-idle: never")
	f.StringVar(&c.policy, "scaling-policy", "", "`policy` of keeping idle instances: adaptive (learns from the requests) or fixed")
	f.VisitAll(func(flag *pflag.Flag) {
		// Zero is no default: cove.yaml's value is, and then the server's.
		if flag.DefValue == "0s" || flag.DefValue == "0B" {
			flag.DefValue = ""
		}
	})
}

// apply puts what was given into cfg.
func (c *configFlags) apply(f *pflag.FlagSet, cfg *cove.Config) error {
	set := func(name string, put func()) {
		if f.Changed(name) {
			put()
		}
	}
	set("name", func() { cfg.Name = c.cfg.Name })
	set("description", func() { cfg.Description = c.cfg.Description })
	set("runtime", func() { cfg.Runtime = c.cfg.Runtime })
	set("handler", func() { cfg.Handler = c.cfg.Handler })
	set("route", func() { cfg.Route = c.cfg.Route })
	set("methods", func() { cfg.Methods = c.cfg.Methods })
	set("timeout", func() { cfg.Timeout = c.cfg.Timeout })
	set("init-timeout", func() { cfg.InitTimeout = c.cfg.InitTimeout })
	set("queue-timeout", func() { cfg.QueueTimeout = c.cfg.QueueTimeout })
	set("memory", func() { cfg.Memory = c.cfg.Memory })
	set("cpu", func() { cfg.CPU = c.cfg.CPU })
	set("tmp", func() { cfg.Tmp = c.cfg.Tmp })
	set("max-body", func() { cfg.MaxBody = c.cfg.MaxBody })
	set("isolation", func() { cfg.Isolation = c.cfg.Isolation })
	set("network", func() { cfg.Network = cove.Network(c.network) })
	set("auth", func() { cfg.Auth = cove.Auth(c.auth) })
	set("cors-origins", func() {
		if cfg.CORS == nil {
			cfg.CORS = &cove.CORS{}
		}
		cfg.CORS.Origins = c.cors.Origins
	})
	set("scaling-min", func() { cfg.Scaling.Min = c.cfg.Scaling.Min })
	set("scaling-max", func() { cfg.Scaling.Max = c.cfg.Scaling.Max })
	set("scaling-reserved", func() { cfg.Scaling.Reserved = c.cfg.Scaling.Reserved })
	set("scaling-concurrency", func() { cfg.Scaling.Concurrency = c.cfg.Scaling.Concurrency })
	set("scaling-pause", func() { cfg.Scaling.Pause = c.cfg.Scaling.Pause })
	set("scaling-policy", func() { cfg.Scaling.Policy = cove.ScalingPolicy(c.policy) })
	set("scaling-idle", func() { cfg.Scaling.Idle = c.cfg.Scaling.Idle })
	set("scaling-queue", func() { cfg.Scaling.Queue = c.cfg.Scaling.Queue })
	return c.applyEnv(cfg)
}

func (c *configFlags) applyEnv(cfg *cove.Config) error {
	if cfg.Env == nil && len(c.env)+len(c.secret) > 0 {
		cfg.Env = cove.Env{}
	}
	for _, e := range c.env {
		name, value, ok := strings.Cut(e, "=")
		if !ok {
			return usagef("--env %s: write NAME=VALUE", name)
		}
		cfg.Env[name] = cove.EnvVar{Value: value}
	}
	for _, e := range c.secret {
		name, value, ok := strings.Cut(e, "=")
		if !ok {
			if value, ok = os.LookupEnv(name); !ok {
				return usagef("--secret %s: there is no variable %s in this environment; set it, or write NAME=VALUE", name, name)
			}
		}
		if value == "" {
			return usagef("--secret %s: it is empty", name)
		}
		cfg.Env[name] = cove.EnvVar{Value: value, Secret: true}
	}
	return nil
}
