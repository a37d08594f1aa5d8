package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/covefn/cove/client/wire"
)

// System is what the daemon says of itself.
func (c *Client) System(ctx context.Context) (wire.System, error) {
	var out wire.System
	err := c.get(ctx, "/system", nil, &out)
	return out, err
}

// Runtimes are the language environments that functions can name.
func (c *Client) Runtimes(ctx context.Context) ([]wire.Runtime, error) {
	var out wire.RuntimeList
	err := c.get(ctx, "/runtimes", nil, &out)
	return out.Items, err
}

// Isolations probes what the daemon's host can run. It takes up to 5 s.
func (c *Client) Isolations(ctx context.Context) ([]wire.Isolation, error) {
	var out wire.IsolationList
	err := c.get(ctx, "/isolations", nil, &out)
	return out.Items, err
}

// Tokens are every access token, without secrets.
func (c *Client) Tokens(ctx context.Context) ([]wire.Token, error) {
	var out wire.TokenList
	err := c.get(ctx, "/tokens", nil, &out)
	return out.Items, err
}

// CreateToken makes an access token. Its secret is told only now.
func (c *Client) CreateToken(ctx context.Context, t wire.TokenCreate) (wire.NewToken, error) {
	var out wire.NewToken
	err := c.send(ctx, http.MethodPost, "/tokens", t, &out, nil)
	return out, err
}

// DeleteToken makes an access token worthless.
func (c *Client) DeleteToken(ctx context.Context, id string) error {
	return c.send(ctx, http.MethodDelete, "/tokens/"+url.PathEscape(id), nil, nil, nil)
}
