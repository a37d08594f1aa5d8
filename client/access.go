package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"github.com/covefn/cove/client/wire"
)

// Who is whom the daemon takes the caller for.
func (c *Client) Who(ctx context.Context) (wire.Who, error) {
	var out wire.Who
	err := c.get(ctx, "/session", nil, &out)
	return out, err
}

// LoginLink makes a link that signs in on the console, as the caller, who opens it
// first.
func (c *Client) LoginLink(ctx context.Context) (wire.LoginLink, error) {
	var out wire.LoginLink
	err := c.send(ctx, http.MethodPost, "/session/links", nil, &out, nil)
	return out, err
}

// Users are all who sign in with a password, by name.
func (c *Client) Users(ctx context.Context) ([]wire.User, error) {
	var out wire.UserList
	err := c.get(ctx, "/users", nil, &out)
	return out.Items, err
}

// CreateUser makes a user.
func (c *Client) CreateUser(ctx context.Context, u wire.UserCreate) (wire.User, error) {
	var out wire.User
	err := c.send(ctx, http.MethodPost, "/users", u, &out, nil)
	return out, err
}

// PatchUser changes what is set in p.
func (c *Client) PatchUser(ctx context.Context, name string, p wire.UserPatch) (wire.User, error) {
	var out wire.User
	err := c.send(ctx, http.MethodPatch, "/users/"+url.PathEscape(name), p, &out, nil)
	return out, err
}

// DeleteUser deletes a user with all sessions.
func (c *Client) DeleteUser(ctx context.Context, name string) error {
	return c.send(ctx, http.MethodDelete, "/users/"+url.PathEscape(name), nil, nil, nil)
}

// AuditQuery selects entries of the audit log; what is empty selects all.
type AuditQuery struct {
	// Actor and Target are parts of the entry's, Action is the whole.
	Actor, Action, Target string
	// Before is AuditList.Next of the page before.
	Before string
	// Limit is how many at most; 0 means 100.
	Limit int
}

// Audit is one page of the audit log, the newest entry first.
func (c *Client) Audit(ctx context.Context, q AuditQuery) (wire.AuditList, error) {
	query := url.Values{}
	for name, v := range map[string]string{"actor": q.Actor, "action": q.Action, "target": q.Target, "before": q.Before} {
		if v != "" {
			query.Set(name, v)
		}
	}
	if q.Limit > 0 {
		query.Set("limit", strconv.Itoa(q.Limit))
	}
	var out wire.AuditList
	err := c.get(ctx, "/audit", query, &out)
	return out, err
}

// Settings are those in force.
func (c *Client) Settings(ctx context.Context) (wire.Settings, error) {
	var out wire.Settings
	err := c.get(ctx, "/settings", nil, &out)
	return out, err
}

// PatchSettings changes what is set in p.
func (c *Client) PatchSettings(ctx context.Context, p wire.SettingsPatch) (wire.Settings, error) {
	var out wire.Settings
	err := c.send(ctx, http.MethodPatch, "/settings", p, &out, nil)
	return out, err
}

// MergeSettings applies a JSON merge patch, in which null sets a default, and is
// all or nothing.
func (c *Client) MergeSettings(ctx context.Context, patch json.RawMessage) (wire.Settings, error) {
	var out wire.Settings
	err := c.send(ctx, http.MethodPatch, "/settings", patch, &out, nil)
	return out, err
}
