package shimtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/runtime"
)

// probe is a variable and an expression that tells its effect.
type probe struct{ name, value, effect string }

// pythonProbes do not get in each other's way: all are set at once.
func pythonProbes() []probe {
	return []probe{
		// First, as what others import loads OpenSSL, which reads it then.
		{"OPENSSL_CONF", "/opt/none", `"libcrypto" in open("/proc/self/maps").read() or __import__("os").environ.get("OPENSSL_CONF")`},
		{"TZ", "JST-9", `__import__("time").strftime("%H", __import__("time").localtime(0)) + str(__import__("time").timezone)`},
		{"PYTHONPATH", "/opt/a:/opt/b", `__import__("sys").path[1:4]`},
		{"PYTHONASYNCIODEBUG", "1", `__import__("asyncio").new_event_loop().get_debug()`},
		{"PYTHONTZPATH", "/opt/zones", `__import__("zoneinfo").TZPATH`},
		{"PYTHONBREAKPOINT", "builtins.len", `__import__("os").environ.get("PYTHONBREAKPOINT") and breakpoint("ab")`},
		{"SSL_CERT_FILE", "/etc/hostname", `__import__("ssl").get_default_verify_paths().cafile`},
		{"OMP_NUM_THREADS", "3", `bool(__import__("ctypes").CDLL(None).getenv(b"OMP_NUM_THREADS"))`},
		{"PYTHONHASHSEED", "1", `hash("a")`},
		{"PYTHONOPTIMIZE", "1", `__import__("sys").flags.optimize`},
		{"PYTHONWARNINGS", "ignore", `__import__("sys").warnoptions`},
		{"PYTHONINTMAXSTRDIGITS", "5000", `__import__("sys").get_int_max_str_digits()`},
		{"PYTHONFAULTHANDLER", "1", `__import__("faulthandler").is_enabled()`},
		{"PYTHONUSERBASE", "/opt/user", `__import__("site").USER_BASE`},
		{"LC_ALL", "C", `__import__("locale").setlocale(__import__("locale").LC_CTYPE)`},
	}
}

// nodeProbes are the same for Node.js.
func nodeProbes() []probe {
	return []probe{
		{"TZ", "Asia/Tokyo", `[new Date(0).getHours(), Intl.DateTimeFormat().resolvedOptions().timeZone]`},
		{"NODE_ENV", "production", `process.env.NODE_ENV`},
		{"NODE_PATH", "/opt/a:/opt/b", `require("node:module").globalPaths.slice(0, 3)`},
		{"UV_THREADPOOL_SIZE", "7", `require("node:fs").promises.stat("/").then(() => require("node:fs").readdirSync("/proc/self/task").length)`},
		{"NODE_CLUSTER_SCHED_POLICY", "none", `require("node:cluster").schedulingPolicy`},
		{"FORCE_COLOR", "1", `require("node:util").styleText("red", "x")`},
		{"OMP_NUM_THREADS", "3", `(({ dlopen, toString }) => toString(dlopen(null, { getenv: { arguments: ["string"], return: "pointer" } }).functions.getenv("OMP_NUM_THREADS")))(require("node:ffi"))`},
		{"NODE_OPTIONS", "--no-deprecation", `process.noDeprecation`},
		{"NODE_NO_WARNINGS", "1", `process.listenerCount("warning")`},
		{"NODE_DEBUG", "mine", `require("node:util").debuglog("mine").enabled`},
		{"NODE_USE_SYSTEM_CA", "1", `require("node:tls").getCACertificates("default").length > 200`},
		{"LC_ALL", "de_DE.UTF-8", `(1.5).toLocaleString()`},
	}
}

// environment tries that a variable which Cove gives a function by INIT alone, so
// that a stem cell can become its instance, has the effect there that it has when
// it is there from the start; and that one for which Cove makes a sandbox of its
// own would have had none.
func environment(t *testing.T, lang Language, starter Starter) {
	r, _ := runtime.NewCatalogue().Lookup(string(lang))
	probes := pythonProbes()
	if lang == JavaScript {
		probes = nodeProbes()
	}
	env := map[string]string{}
	for _, p := range probes {
		env[p.name] = p.value
	}
	none, whole, late := effects(t, lang, starter, probes, nil, nil), effects(t, lang, starter, probes, env, env), effects(t, lang, starter, probes, nil, env)
	for _, p := range probes {
		early := len(r.Early(cove.Env{p.name: {Value: p.value}})) > 0
		switch {
		case none[p.name] == whole[p.name]:
			t.Errorf("%s has no effect that is seen: %s", p.name, none[p.name])
		case early != (whole[p.name] != late[p.name]):
			t.Errorf("%s is early: %v; from the start it makes %s, from INIT on %s, else it is %s", p.name, early, whole[p.name], late[p.name], none[p.name])
		}
	}
}

// effects is what the probes tell in a stem cell that is started with atStart and
// becomes an instance with atInit.
func effects(t *testing.T, lang Language, starter Starter, probes []probe, atStart, atInit map[string]string) map[string]string {
	t.Helper()
	var env, fields []string
	for _, name := range slices.Sorted(maps.Keys(atStart)) {
		env = append(env, name+"="+atStart[name])
	}
	form, code := "%q: %s", "def handler(event, context):\n    return {%s}\n"
	if lang == JavaScript {
		form, code = "%q: await %s", "exports.handler = async () => ({%s});\n"
	}
	for _, p := range probes {
		fields = append(fields, fmt.Sprintf(form, p.name, p.effect))
	}
	s := start(t, lang, starter, files(lang, fmt.Sprintf(code, strings.Join(fields, ", "))), env...)
	s.prepared(t)
	s.init.Env = atInit
	s.mustLoad(t)
	var raw map[string]json.RawMessage
	check(t, json.Unmarshal([]byte(s.direct(t, "")), &raw))
	told := map[string]string{}
	for name, value := range raw {
		told[name] = string(value)
	}
	return told
}

// late is the variables of which an interpreter tells in its help and which are not
// early, for the reasons in early.go.
func late() []string {
	return []string{
		"PYTHONSTARTUP", "PYTHONPATH", "PYTHONCASEOK", "PYTHONIOENCODING", "PYTHONBREAKPOINT", "PYTHON_COLORS", "PYTHON_HISTORY",
		"PYTHON_BASIC_REPL", "PYTHONDONTWRITEBYTECODE", "PYTHONNOUSERSITE", "PYTHONSAFEPATH", "PYTHONUNBUFFERED", "PYTHONUTF8",
		"FORCE_COLOR", "NO_COLOR", "NODE_DISABLE_COLORS", "NODE_PATH", "NODE_PENDING_PIPE_INSTANCES", "NODE_REPL_EXTERNAL_MODULE",
		"NODE_REPL_HISTORY", "NODE_SKIP_PLATFORM_CHECK", "NODE_TLS_REJECT_UNAUTHORIZED", "TZ", "UV_THREADPOOL_SIZE",
	}
}

var variableInHelp = regexp.MustCompile(`(?m)^([A-Z][A-Z0-9_]+)\b`)

// KnowsItsVariables tries that Cove has decided about every variable of which the
// interpreter tells in its help: a new version may bring new ones.
func KnowsItsVariables(t *testing.T, r runtime.Runtime, interpreter string, help ...string) {
	out, err := exec.CommandContext(t.Context(), interpreter, help...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", interpreter, err, out)
	}
	_, text, _ := strings.Cut(string(out), "\nEnvironment variables")
	if text == "" {
		text = string(out)
	}
	found := variableInHelp.FindAllString(text, -1)
	if len(found) < 10 {
		t.Fatalf("the help of %s tells of %q only", interpreter, found)
	}
	for _, name := range found {
		if early := len(r.Early(cove.Env{name: {}})) > 0; early == slices.Contains(late(), name) {
			t.Errorf("%s: early is %v; say in early.go whether it is, and why", name, early)
		}
	}
}
