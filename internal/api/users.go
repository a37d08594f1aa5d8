package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/auth"
	"github.com/covefn/cove/internal/store"
)

// Users manages who may sign in; *auth.Service does. Errors are *cove.Error.
type Users interface {
	// Users are all, by name.
	Users() []store.User
	CreateUser(ctx context.Context, name, role, password string) (store.User, error)
	ChangeUser(ctx context.Context, name string, change auth.UserChange) (store.User, error)
	DeleteUser(ctx context.Context, name string) error
}

func (a *API) registerUsers() {
	example := wire.User{Name: "ada", Role: auth.RoleDeveloper, Created: exampleTime(), LastLogin: exampleTime()}
	register(a, huma.Operation{
		OperationID: "listUsers", Method: http.MethodGet, Path: Prefix + "/users", Tags: []string{"access"},
		Summary: "List users", Description: "Everybody who may sign in with a password, by name.",
	}, wire.UserList{Items: []wire.User{example}}, a.listUsers)
	register(a, huma.Operation{
		OperationID: "createUser", Method: http.MethodPost, Path: Prefix + "/users", Tags: []string{"access"}, DefaultStatus: http.StatusCreated,
		Summary: "Create a user", Description: "Makes a user who may sign in on the console with this password.",
	}, example, a.createUser, cove.CodeInvalid, cove.CodeConflict, cove.CodeTooLarge)
	register(a, huma.Operation{
		OperationID: "patchUser", Method: http.MethodPatch, Path: Prefix + "/users/{name}", Tags: []string{"access"},
		Summary: "Change a user", Description: "Changes the role, the password or whether the user is disabled; what is absent stays. A new password, and being disabled, end every session of the user at once.",
	}, example, a.patchUser, cove.CodeInvalid, cove.CodeNotFound, cove.CodeConflict, cove.CodeTooLarge)
	register(a, huma.Operation{
		OperationID: "deleteUser", Method: http.MethodDelete, Path: Prefix + "/users/{name}", Tags: []string{"access"},
		Summary: "Delete a user", Description: "Deletes the user and ends every session of theirs at once.",
	}, nil, a.deleteUser, cove.CodeNotFound, cove.CodeConflict)
}

func wireUser(u store.User) wire.User {
	return wire.User{Name: u.Name, Role: u.Role, Disabled: u.Disabled, Created: u.Created, LastLogin: u.LastLogin}
}

type usersOutput struct{ Body wire.UserList }

func (a *API) listUsers(context.Context, *struct{}) (*usersOutput, error) {
	out := &usersOutput{Body: wire.UserList{Items: []wire.User{}}}
	for _, u := range a.Users.Users() {
		out.Body.Items = append(out.Body.Items, wireUser(u))
	}
	return out, nil
}

type createUserInput struct{ Body wire.UserCreate }

type userOutput struct{ Body wire.User }

func (a *API) createUser(ctx context.Context, in *createUserInput) (*userOutput, error) {
	noteTarget(ctx, in.Body.Name, "role "+in.Body.Role)
	if err := mayGive(ctx, in.Body.Role); err != nil {
		return nil, err
	}
	u, err := a.Users.CreateUser(ctx, in.Body.Name, in.Body.Role, in.Body.Password)
	if err != nil {
		return nil, err
	}
	return &userOutput{Body: wireUser(u)}, nil
}

// UserInput is the path of one user. It is exported because huma fills embedded
// fields of exported types only.
type UserInput struct {
	Name string `path:"name" maxLength:"63" doc:"The user's name" example:"ada"`
}

type patchUserInput struct {
	UserInput
	Body wire.UserPatch
}

func (a *API) patchUser(ctx context.Context, in *patchUserInput) (*userOutput, error) {
	b := in.Body
	var what []string
	if b.Role != nil {
		what = append(what, "role "+*b.Role)
	}
	if b.Password != nil {
		what = append(what, "password")
	}
	if b.Disabled != nil && *b.Disabled {
		what = append(what, "disabled")
	} else if b.Disabled != nil {
		what = append(what, "enabled")
	}
	noteTarget(ctx, in.Name, strings.Join(what, ", "))
	if callerOf(ctx).User == in.Name && (b.Role != nil || b.Disabled != nil) {
		return nil, cove.Errorf(cove.CodeConflict, "this is you: somebody else must change your role or disable you")
	}
	if b.Role != nil {
		if err := mayGive(ctx, *b.Role); err != nil {
			return nil, err
		}
	}
	u, err := a.Users.ChangeUser(ctx, in.Name, auth.UserChange{Role: b.Role, Password: b.Password, Disabled: b.Disabled})
	if err != nil {
		return nil, err
	}
	return &userOutput{Body: wireUser(u)}, nil
}

func (a *API) deleteUser(ctx context.Context, in *UserInput) (*struct{}, error) {
	if callerOf(ctx).User == in.Name {
		return nil, cove.Errorf(cove.CodeConflict, "this is you: somebody else must delete you")
	}
	return nil, a.Users.DeleteUser(ctx, in.Name)
}

// mayGive refuses to give a role that the caller has not: whatever the table of
// routes says, nobody makes somebody more powerful than they are.
func mayGive(ctx context.Context, role string) error {
	c := callerOf(ctx)
	if role == "" || auth.AtLeast(c.Role, role) && (role != auth.RoleInvoke || c.Role == auth.RoleAdmin || c.Role == auth.RoleDeveloper) {
		return nil
	}
	if auth.AtLeast(auth.RoleAdmin, role) {
		return cove.Errorf(cove.CodeDenied, "with role %s you cannot give role %s", c.Role, role)
	}
	return nil // It is no role at all, which who keeps it will say.
}
