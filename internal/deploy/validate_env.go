package deploy

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/covefn/cove"
)

var (
	envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	// token is what HTTP allows in the name of a header.
	token = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$")
)

// reserved says whether Cove itself, or the conventions that a handler may
// rely on, give this variable its value.
func reserved(name string) bool {
	switch name {
	case "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR", "_HANDLER", "_X_AMZN_TRACE_ID":
		return true
	}
	return strings.HasPrefix(name, "COVE_") || strings.HasPrefix(name, "AWS_LAMBDA_")
}

// env checks the environment, and gives a secret without a value the one it
// had. No message tells a value.
func (c *checker) env(cfg *cove.Config) {
	total := 0
	rt, _ := c.runtimes.Lookup(cfg.Runtime)
	early := rt.Early(cfg.Env)
	for _, name := range slices.Sorted(maps.Keys(cfg.Env)) {
		v, field := cfg.Env[name], "env."+short(name)
		if v.Secret && v.Value == "" {
			v.Value = c.keptSecret(field, name)
			cfg.Env[name] = v
		}
		total += len(name) + len(v.Value)
		switch {
		case !envName.MatchString(name):
			c.bad(field, "is no name of a variable: letters, digits and '_', not beginning with a digit")
		case reserved(name):
			c.bad(field, "is reserved for Cove: choose another name")
		case strings.Contains(v.Value, "\x00") || !utf8.ValidString(v.Value):
			c.bad(field, "its value must be UTF-8 without NUL; encode binary values, in base64 for example")
		case v.Secret && slices.Contains(early, name):
			c.bad(field, "is read before any of the function's code runs, and so cannot be secret")
		}
	}
	if total > int(c.limits.Env) {
		c.bad("env", "names and values are %d bytes in all; the limit is %d", total, c.limits.Env)
	}
	if len(cfg.Env) == 0 {
		cfg.Env = nil
	}
}

func (c *checker) keptSecret(field, name string) string {
	if c.old != nil {
		if old, ok := c.old.Env[name]; ok && old.Value != "" {
			return old.Value
		}
	}
	c.bad(field, "is secret and has no value, and there is no earlier one to keep")
	return ""
}

func (c *checker) cors(cors *cove.CORS) {
	if cors == nil {
		return
	}
	if len(cors.Origins) == 0 {
		c.bad("cors.origins", `name at least one, such as https://app.example.com, or "*"`)
	}
	if n := len(cors.Origins) + len(cors.Headers) + len(cors.ExposeHeaders); n > 100 {
		c.bad("cors", "names %d origins and headers; the limit is 100", n)
		return
	}
	for i, o := range cors.Origins {
		cors.Origins[i] = strings.ToLower(strings.TrimSpace(o))
		if !origin(cors.Origins[i]) {
			c.bad("cors.origins", `%q is no origin: write a scheme and a host without a path, such as https://app.example.com, or "*"`, short(o))
		}
	}
	if cors.Credentials && slices.Contains(cors.Origins, "*") {
		c.bad("cors.credentials", `is not allowed with the origin "*": browsers refuse it; name the origins`)
	}
	cors.Methods = c.methods("cors.methods", cors.Methods)
	c.headers("cors.headers", cors.Headers)
	c.headers("cors.expose_headers", cors.ExposeHeaders)
	if cors.MaxAge < 0 || cors.MaxAge.Std() > 24*time.Hour {
		c.bad("cors.max_age", "is %s; it must be from 0s to 24h", cors.MaxAge)
	}
	for _, list := range []*[]string{&cors.Headers, &cors.ExposeHeaders} {
		if len(*list) == 0 {
			*list = nil
		}
	}
}

func (c *checker) headers(field string, names []string) {
	for _, name := range names {
		if !token.MatchString(name) {
			c.bad(field, "%q is no name of a header", short(name))
		}
	}
}

// origin says whether s is "*" or what a browser sends as Origin.
func origin(s string) bool {
	if s == "*" {
		return true
	}
	u, err := url.Parse(s)
	return err == nil && u.Scheme != "" && u.Hostname() != "" && s == u.Scheme+"://"+u.Host && !strings.ContainsAny(s, " ,*\\")
}

// nearest is the known name that s was likely meant to be, "" for none.
func nearest(s string, known []string) string {
	best, least := "", max(2, len(s)/3)+1
	if len(s) > 64 {
		return ""
	}
	for _, k := range known {
		if d := distance(strings.ToLower(s), k); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is how many letters must be put in, taken out or changed.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
