package runtime_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/covefn/cove"
)

// Which variables keep a function from the stem cells. What is not early has the
// same effect from INIT on, as shimtest tries on the interpreters.
func TestEarly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		names        string
		python, node bool
	}{
		{"LD_PRELOAD LD_LIBRARY_PATH LANG LC_ALL LC_CTYPE LOCPATH MALLOC_ARENA_MAX GLIBC_TUNABLES RES_OPTIONS LOCALDOMAIN", true, true},
		{"PYTHONCOERCECLOCALE PYTHONDEBUG PYTHONDEVMODE PYTHONDUMPREFS PYTHONDUMPREFSFILE PYTHONFAULTHANDLER PYTHONHASHSEED PYTHONHOME", true, false},
		{"PYTHONINSPECT PYTHONINTMAXSTRDIGITS PYTHONMALLOC PYTHONMALLOCSTATS PYTHONNODEBUGRANGES PYTHONOPTIMIZE PYTHONPERFSUPPORT", true, false},
		{"PYTHONPLATLIBDIR PYTHONPROFILEIMPORTTIME PYTHONPYCACHEPREFIX PYTHONTRACEMALLOC PYTHONUSERBASE PYTHONVERBOSE", true, false},
		{"PYTHONWARNDEFAULTENCODING PYTHONWARNINGS PYTHON_CPU_COUNT PYTHON_FROZEN_MODULES PYTHON_GIL PYTHON_PERF_JIT_SUPPORT", true, false},
		{"NODE_OPTIONS NODE_NO_WARNINGS NODE_PENDING_DEPRECATION NODE_PRESERVE_SYMLINKS NODE_PRESERVE_SYMLINKS_MAIN", false, true},
		{"NODE_REDIRECT_WARNINGS NODE_USE_ENV_PROXY NODE_USE_SYSTEM_CA NODE_DEBUG NODE_DEBUG_NATIVE NODE_EXTRA_CA_CERTS", false, true},
		{"NODE_ICU_DATA NODE_V8_COVERAGE NODE_COMPILE_CACHE NODE_COMPILE_CACHE_PORTABLE NODE_COMPILE_CACHE_READONLY", false, true},
		{"NODE_DISABLE_COMPILE_CACHE NODE_CHANNEL_FD NODE_CHANNEL_SERIALIZATION_MODE NODE_UNIQUE_ID", false, true},
		{"ICU_DATA ICU_TIMEZONE_FILES_DIR TZDIR UV_USE_IO_URING OPENSSL_CONF OPENSSL_MODULES", false, true},
		{"TZ FORCE_COLOR NO_COLOR SSL_CERT_FILE SSL_CERT_DIR OMP_NUM_THREADS OPENBLAS_NUM_THREADS MKL_NUM_THREADS LANGUAGE", false, false},
		{"PYTHONPATH PYTHONUNBUFFERED PYTHONIOENCODING PYTHONDONTWRITEBYTECODE PYTHONUTF8 PYTHONNOUSERSITE PYTHONSAFEPATH", false, false},
		{"PYTHONASYNCIODEBUG PYTHONBREAKPOINT PYTHONTZPATH PYTHONSTARTUP PYTHON_COLORS PYTHON_HISTORY PYTHON_VERSION", false, false},
		{"NODE_ENV NODE_PATH NODE_TLS_REJECT_UNAUTHORIZED NODE_DISABLE_COLORS NODE_CLUSTER_SCHED_POLICY NODE_VERSION", false, false},
		{"UV_THREADPOOL_SIZE HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy", false, false},
		{"GREETING API_KEY TZX LANGS XLD_PRELOAD ld_preload PYTHON NODE", false, false},
	} {
		for _, name := range strings.Fields(c.names) {
			for language, want := range map[string]bool{"python": c.python, "node": c.node} {
				if got := lookup(t, language).Early(cove.Env{name: {Value: "1"}}); (len(got) > 0) != want {
					t.Errorf("%s in %s: %q", name, language, got)
				}
			}
		}
	}
}

func TestEarlyOnesTogether(t *testing.T) {
	t.Parallel()
	proxy := cove.EnvVar{Value: "http://proxy:3128"}
	env := cove.Env{"NODE_USE_ENV_PROXY": {Value: "1"}, "HTTPS_PROXY": proxy, "no_proxy": {Value: "local"}, "GREETING": {Value: "a"}}
	t.Run("proxies are early in Node.js if it is told to use them", func(t *testing.T) {
		t.Parallel()
		if got := lookup(t, "node").EarlyEnv(env); !slices.Equal(got, []string{"HTTPS_PROXY=http://proxy:3128", "NODE_USE_ENV_PROXY=1", "no_proxy=local"}) {
			t.Errorf("%q", got)
		}
		if got := lookup(t, "python").Early(env); got != nil {
			t.Errorf("in Python: %q", got)
		}
	})
	t.Run("also by an option", func(t *testing.T) {
		t.Parallel()
		for options, want := range map[string]int{"--trace-gc --use-env-proxy": 2, "--use_env_proxy": 2, "--trace-gc": 1} {
			if got := lookup(t, "node").Early(cove.Env{"NODE_OPTIONS": {Value: options}, "http_proxy": proxy}); len(got) != want {
				t.Errorf("%s: %q", options, got)
			}
		}
	})
	t.Run("a secret is named and left out of what a sandbox is made with", func(t *testing.T) {
		t.Parallel()
		secret := cove.Env{"NODE_DEBUG": {Value: "x", Secret: true}}
		if n := lookup(t, "node"); len(n.Early(secret)) != 1 || n.EarlyEnv(secret) != nil {
			t.Errorf("%q, %q", n.Early(secret), n.EarlyEnv(secret))
		}
	})
}
