package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/covefn/cove/client/wire"
)

// Warm makes instances of a function ready without calling it, and returns when
// they are, or with the error of loading it.
func (c *Client) Warm(ctx context.Context, name string, want wire.Warm) (wire.Warmed, error) {
	var out wire.Warmed
	err := c.send(ctx, http.MethodPost, functionPath(name, "/warm"), want, &out, nil)
	return out, err
}

// Recycle puts new instances of a function in the place of those there are, and
// returns when it has.
func (c *Client) Recycle(ctx context.Context, name string, want wire.Recycle) (wire.Recycled, error) {
	var out wire.Recycled
	err := c.send(ctx, http.MethodPost, functionPath(name, "/recycle"), want, &out, nil)
	return out, err
}

// Explain says why there are as many instances of a function as there are.
func (c *Client) Explain(ctx context.Context, name string) (wire.Explanation, error) {
	var out wire.Explanation
	err := c.get(ctx, functionPath(name, "/scaling"), nil, &out)
	return out, err
}

// InstanceQuery chooses instances; what is zero does not.
type InstanceQuery struct {
	Function string
	State    wire.InstanceState
	// Measure has the processes of each of them measured, which takes some
	// milliseconds for each.
	Measure bool
}

// Instances are the sandboxes that run functions now, by function, version and
// id.
func (c *Client) Instances(ctx context.Context, q InstanceQuery) ([]wire.Instance, error) {
	query := url.Values{}
	if q.Function != "" {
		query.Set("function", q.Function)
	}
	if q.State != "" {
		query.Set("state", string(q.State))
	}
	if q.Measure {
		query.Set("measure", "true")
	}
	var out wire.InstanceList
	err := c.get(ctx, "/instances", query, &out)
	return out.Items, err
}

// Stems are the stem cells, by runtime and isolation.
func (c *Client) Stems(ctx context.Context) ([]wire.Stem, error) {
	var out wire.StemList
	err := c.get(ctx, "/stems", nil, &out)
	return out.Items, err
}
