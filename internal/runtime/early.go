package runtime

import (
	"slices"
	"strings"

	"github.com/covefn/cove"
)

// early is the variables that must be in a process's environment before the
// language starts. Whatever is read later needs no place here: the shims put the
// variables of INIT into the process's real environment, where a library that is
// loaded afterwards finds them too (OMP_NUM_THREADS, SSL_CERT_FILE). A variable
// that is here without need costs its function the stem cells; one that is missing
// has no effect. So what is in doubt is here, and shimtest holds the lists against
// the interpreters.
type early struct {
	names, prefixes []string
	// proxies says that proxyNames are read at the start where a variable beside
	// them asks for it.
	proxies bool
}

// libcEarly is what the loader and the C library read, whatever the language.
var libcEarly = early{
	names: []string{
		"GLIBC_TUNABLES", // Read by the loader, before main.
		"LANG",           // Python and ICU choose their locale at the start.
		"LOCPATH",        // Where the locales are that LANG chooses from.
		// The resolver reads them when it is first used, which may be the
		// interpreter's doing; nobody has tried what a late one does.
		"RES_OPTIONS", "LOCALDOMAIN",
	},
	prefixes: []string{
		"LD_",     // The loader reads them once, LD_LIBRARY_PATH for later dlopen too.
		"LC_",     // As LANG, which they overrule.
		"MALLOC_", // malloc(3) reads them when it is first called.
	},
}

// pythonEarly is what `python3 --help-env` and site.py say is read at the start,
// and some that only the interpreter's source tells.
//
// Not here, because the shim's command decides the same: PYTHONUTF8,
// PYTHONDONTWRITEBYTECODE, PYTHONNOUSERSITE, PYTHONSAFEPATH. Nor because the shim
// opens the streams itself: PYTHONUNBUFFERED, PYTHONIOENCODING. Nor because it
// sees to them at INIT: TZ, PYTHONPATH. Python looks at others only when it is
// asked for what they are about: PYTHONASYNCIODEBUG, PYTHONBREAKPOINT,
// PYTHONTZPATH, PYTHON_COLORS, NO_COLOR, OPENSSL_CONF, SSL_CERT_FILE. And
// PYTHONSTARTUP, PYTHON_HISTORY and PYTHON_BASIC_REPL are for a person at a
// prompt, PYTHONCASEOK for Windows.
var pythonEarly = early{names: []string{
	// They become fields of PyConfig, before the first line of Python runs.
	"PYTHONCOERCECLOCALE", "PYTHONDEBUG", "PYTHONDEVMODE", "PYTHONFAULTHANDLER", "PYTHONHASHSEED", "PYTHONHOME", "PYTHONINSPECT",
	"PYTHONINTMAXSTRDIGITS", "PYTHONMALLOC", "PYTHONNODEBUGRANGES", "PYTHONOPTIMIZE", "PYTHONPERFSUPPORT", "PYTHONPLATLIBDIR",
	"PYTHONPROFILEIMPORTTIME", "PYTHONPYCACHEPREFIX", "PYTHONTRACEMALLOC", "PYTHONVERBOSE", "PYTHONWARNDEFAULTENCODING",
	"PYTHONWARNINGS", "PYTHON_CPU_COUNT", "PYTHON_FROZEN_MODULES",
	// As these do, which --help-env does not tell.
	"PYTHONDUMPREFS", "PYTHONDUMPREFSFILE", "PYTHONMALLOCSTATS", "PYTHON_GIL", "PYTHON_PERF_JIT_SUPPORT",
	// site.py reads it, which the shim runs before INIT.
	"PYTHONUSERBASE",
}}

// nodeEarly is what `node --help`, Node.js's documentation of its command line and
// the sources inside its binary (lib/internal/process/pre_execution.js) say is read
// at the start. NODE_ENV is read by packages, never by Node.js.
//
// Not here, because the shim sees to it at INIT: NODE_PATH. Nor because setting it
// has V8 look at it again: TZ. Nor because it is read when what it is about is first
// used, after INIT: NODE_TLS_REJECT_UNAUTHORIZED, UV_THREADPOOL_SIZE,
// NODE_CLUSTER_SCHED_POLICY, FORCE_COLOR, NO_COLOR, NODE_DISABLE_COLORS,
// SSL_CERT_FILE, SSL_CERT_DIR. Nor NODE_REPL_*, which are for a person at a prompt,
// NODE_PENDING_PIPE_INSTANCES, which is for Windows, and NODE_SKIP_PLATFORM_CHECK,
// as a platform on which this runs passes the check.
var nodeEarly = early{
	names: []string{
		// They stand for options, which are parsed once.
		"NODE_OPTIONS", "NODE_NO_WARNINGS", "NODE_PENDING_DEPRECATION", "NODE_PRESERVE_SYMLINKS", "NODE_PRESERVE_SYMLINKS_MAIN",
		"NODE_REDIRECT_WARNINGS", "NODE_USE_ENV_PROXY", "NODE_USE_SYSTEM_CA",
		// What is read of them then is kept, or something is set up by it.
		"NODE_DEBUG", "NODE_DEBUG_NATIVE", "NODE_EXTRA_CA_CERTS", "NODE_ICU_DATA", "NODE_V8_COVERAGE",
		"NODE_COMPILE_CACHE", "NODE_COMPILE_CACHE_PORTABLE", "NODE_COMPILE_CACHE_READONLY", "NODE_DISABLE_COMPILE_CACHE",
		// They make a process somebody's child, and are removed when they are read.
		"NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE", "NODE_UNIQUE_ID",
		// ICU opens its data at its first use, and libuv chooses io_uring at its own.
		"ICU_DATA", "ICU_TIMEZONE_FILES_DIR", "TZDIR", "UV_USE_IO_URING",
	},
	prefixes: []string{"OPENSSL_"}, // Node.js sets OpenSSL up when it starts.
	proxies:  true,
}

// proxyNames are read when Node.js starts if it is told to use them: fetch goes
// past a proxy that is named later. Without that they are any package's own.
var proxyNames = []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"}

// has says whether name, which is a variable of env, is one of e.
func (e early) has(name string, env cove.Env) bool {
	return slices.Contains(e.names, name) ||
		slices.ContainsFunc(e.prefixes, func(p string) bool { return strings.HasPrefix(name, p) }) ||
		e.proxies && slices.Contains(proxyNames, name) && usesProxy(env)
}

// usesProxy says whether env tells Node.js to use the proxies that env names.
// Options may be written with '_' for '-'.
func usesProxy(env cove.Env) bool {
	_, asked := env["NODE_USE_ENV_PROXY"]
	return asked || strings.Contains(strings.ReplaceAll(env["NODE_OPTIONS"].Value, "_", "-"), "--use-env-proxy")
}

// Early is the names, in their order, of the variables of env that must be in a
// process's environment before the language starts, because they are read then and
// never again: NODE_OPTIONS, PYTHONHASHSEED, LD_PRELOAD. They are part of what a
// sandbox is created with, which a driver may write to disk, so they cannot be
// secret. A function that has any cannot use a stem cell, which was started
// without them.
func (r Runtime) Early(env cove.Env) []string {
	var names []string
	for name := range env {
		if libcEarly.has(name, env) || r.early.has(name, env) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// EarlyEnv is the early variables of env as "NAME=value", in the order of their
// names, to be added to Runtime.Env when a sandbox is created. Secrets are left
// out.
func (r Runtime) EarlyEnv(env cove.Env) []string {
	var pairs []string
	for _, name := range r.Early(env) {
		if v := env[name]; !v.Secret {
			pairs = append(pairs, name+"="+v.Value)
		}
	}
	return pairs
}
