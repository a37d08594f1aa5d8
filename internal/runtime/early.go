package runtime

import (
	"sort"
	"strings"
)

// earlyPrefixes and earlyNames are the variables that an interpreter, the C
// library or the loader reads before the first line of the shim runs.
var (
	earlyPrefixes = []string{
		"PYTHON", "NODE_", "UV_", "LD_", "LC_", "MALLOC_", "GLIBC_", "OPENSSL_", "SSL_CERT_", "OMP_", "OPENBLAS_", "MKL_",
	}
	earlyNames = []string{"LANG", "LANGUAGE", "TZ", "TZDIR", "NO_COLOR", "FORCE_COLOR", "LOCPATH", "RES_OPTIONS", "LOCALDOMAIN"}
)

// IsEarly says whether the variable name must be in a process's environment
// before the language starts, because it is read then and never again:
// NODE_OPTIONS, PYTHONHASHSEED, LD_PRELOAD, TZ. Such a variable is part of what a
// sandbox is created with, which a driver may write to disk, so it cannot be
// secret.
func IsEarly(name string) bool {
	for _, n := range earlyNames {
		if name == n {
			return true
		}
	}
	for _, p := range earlyPrefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// EarlyEnv picks the early variables of env as "NAME=value", in the order of
// their names, to be added to Runtime.Env when a sandbox is created. A function
// that has any cannot use a stem cell that was started without them.
func EarlyEnv(env map[string]string) []string {
	var early []string
	for name, value := range env {
		if IsEarly(name) {
			early = append(early, name+"="+value)
		}
	}
	sort.Strings(early)
	return early
}
