package auth

import (
	"slices"

	"github.com/covefn/cove/internal/store"
)

// The roles of users and tokens. Each of the first three may do all that the one
// behind it may.
const (
	// RoleAdmin may do everything.
	RoleAdmin = "admin"
	// RoleDeveloper may do everything with functions, and nothing with who may
	// call, the settings and the audit log.
	RoleDeveloper = "developer"
	// RoleViewer may look at everything that a developer sees, and change or
	// invoke nothing.
	RoleViewer = "viewer"
	// RoleInvoke may call functions and have them loaded, all or those that the
	// token names, and nothing else. Users cannot have it.
	RoleInvoke = "invoke"
)

// Roles are those of tokens, the most powerful first.
func Roles() []string { return []string{RoleAdmin, RoleDeveloper, RoleViewer, RoleInvoke} }

// UserRoles are those of users, the most powerful first.
func UserRoles() []string { return Roles()[:3] }

// AtLeast says whether role may do what least may. A role that is not known may
// do nothing, and nothing is allowed by one that is not known.
func AtLeast(role, least string) bool {
	have, need := slices.Index(Roles(), role), slices.Index(Roles(), least)
	if have < 0 || need < 0 {
		return false
	}
	if least == RoleInvoke {
		return role != RoleViewer // Who only looks does not start anything.
	}
	return have <= need
}

// IsAdmin says whether t may do everything.
func IsAdmin(t *store.Token) bool { return t != nil && t.Role == RoleAdmin }

// MayInvoke says whether t may call function.
func MayInvoke(t *store.Token, function string) bool {
	return t != nil && mayInvoke(t.Role, t.Functions, function)
}

func mayInvoke(role string, functions []string, function string) bool {
	if role == RoleInvoke {
		return len(functions) == 0 || slices.Contains(functions, function)
	}
	return AtLeast(role, RoleInvoke)
}
