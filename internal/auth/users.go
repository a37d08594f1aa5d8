package auth

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/store"
)

// maxUsers bounds how many users there are.
const maxUsers = 1000

var userName = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$`)

// Users are all users, by name, from memory.
func (s *Service) Users() []store.User {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]store.User, 0, len(s.users))
	for _, u := range s.users {
		all = append(all, *u)
	}
	slices.SortFunc(all, func(a, b store.User) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func (s *Service) user(name string) (store.User, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	u, ok := s.users[name]
	if !ok {
		return store.User{}, false
	}
	return *u, true
}

func (s *Service) setUser(u store.User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[u.Name] = &u
}

// CreateUser makes a user, who is on disk when it returns.
func (s *Service) CreateUser(ctx context.Context, name, role, password string) (store.User, error) {
	var wrong []cove.FieldError
	if !userName.MatchString(name) {
		wrong = append(wrong, cove.FieldError{Field: "name", Message: "use 1 to 63 of a-z, 0-9, '-', '_' and '.', beginning and ending with a letter or digit"})
	}
	wrong = append(wrong, checkRole(role)...)
	if text := checkPassword(name, password); text != "" {
		wrong = append(wrong, cove.FieldError{Field: "password", Message: text})
	}
	if wrong != nil {
		return store.User{}, cove.InvalidFields(wrong)
	}
	hash, err := s.passwords.hash(ctx, password)
	if err != nil {
		return store.User{}, err
	}
	s.changes.Lock()
	defer s.changes.Unlock()
	if len(s.Users()) >= maxUsers {
		return store.User{}, cove.Errorf(cove.CodeConflict, "there are %d users, which is the limit: delete one first", maxUsers)
	}
	u := store.User{Name: name, Role: role, Password: hash, Created: s.stamp()}
	if err := s.store.CreateUser(ctx, u); err != nil {
		return store.User{}, err
	}
	s.setUser(u)
	return u, nil
}

func checkRole(role string) []cove.FieldError {
	if slices.Contains(UserRoles(), role) {
		return nil
	}
	return []cove.FieldError{{Field: "role", Message: fmt.Sprintf("%.40q is no role of a user: use one of %s", role, strings.Join(UserRoles(), ", "))}}
}

// ChangeUser changes what is not nil. A new password, and being disabled, end
// every session of the user; another role holds for them from the next request on.
// The last who can administer this Cove stays one who can.
func (s *Service) ChangeUser(ctx context.Context, name string, change UserChange) (store.User, error) {
	var hash string
	var wrong []cove.FieldError
	if change.Role != nil {
		wrong = checkRole(*change.Role)
	}
	if change.Password != nil {
		if text := checkPassword(name, *change.Password); text != "" {
			wrong = append(wrong, cove.FieldError{Field: "password", Message: text})
		}
	}
	if wrong != nil {
		return store.User{}, cove.InvalidFields(wrong)
	}
	if _, known := s.user(name); !known {
		return store.User{}, noUser(name)
	}
	if change.Password != nil {
		var err error
		if hash, err = s.passwords.hash(ctx, *change.Password); err != nil {
			return store.User{}, err
		}
	}
	s.changes.Lock()
	defer s.changes.Unlock()
	u, known := s.user(name)
	if !known {
		return store.User{}, noUser(name)
	}
	if change.from != "" && change.from != u.Password {
		return store.User{}, cove.Errorf(cove.CodeConflict, "the password was changed meanwhile: sign in with the new one")
	}
	was := u
	if change.Role != nil {
		u.Role = *change.Role
	}
	if change.Disabled != nil {
		u.Disabled = *change.Disabled
	}
	if change.Password != nil {
		u.Password = hash
	}
	if administers(&was) && !administers(&u) {
		if err := s.notLast("", name); err != nil {
			return store.User{}, err
		}
	}
	end := change.Password != nil || u.Disabled
	if err := s.store.UpdateUser(ctx, u, end); err != nil {
		return store.User{}, err
	}
	s.setUser(u)
	if end {
		s.dropAccess(func(user, _ string) bool { return user == name })
	}
	if change.Password != nil {
		s.byName.forgive(name, true)
	}
	return u, nil
}

// DeleteUser deletes a user and ends every session of theirs. The last who can
// administer this Cove cannot be deleted.
func (s *Service) DeleteUser(ctx context.Context, name string) error {
	s.changes.Lock()
	defer s.changes.Unlock()
	u, known := s.user(name)
	if !known {
		return noUser(name)
	}
	if administers(&u) {
		if err := s.notLast("", name); err != nil {
			return err
		}
	}
	if err := s.store.DeleteUser(ctx, name); err != nil {
		return err
	}
	s.mu.Lock()
	delete(s.users, name)
	s.mu.Unlock()
	s.dropAccess(func(user, _ string) bool { return user == name })
	return nil
}

func noUser(name string) error {
	return cove.Errorf(cove.CodeNotFound, "there is no user %.80q", name)
}

func administers(u *store.User) bool { return u.Role == RoleAdmin && !u.Disabled }

// notLast is an error if nobody could administer this Cove without the token and
// the user called so. changes is held.
func (s *Service) notLast(token, user string) error {
	if s.admins(token, user) > 0 {
		return nil
	}
	return cove.Errorf(cove.CodeConflict, "this is the last one of role admin: make another token or user of that role first")
}

// admins counts the valid admin tokens and users but for those called so.
func (s *Service) admins(token, user string) int {
	n := 0
	for _, t := range s.tokens.Load().byID {
		if IsAdmin(&t.Token) && t.ID != token && !s.expired(&t.Token) {
			n++
		}
	}
	for _, u := range s.Users() {
		if administers(&u) && u.Name != user {
			n++
		}
	}
	return n
}
