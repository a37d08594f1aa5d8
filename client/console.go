package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"github.com/covefn/cove/client/wire"
)

// Disable has every request to a function answered CodeDisabled. revision is the
// one that the caller has seen, 0 for any.
func (c *Client) Disable(ctx context.Context, name string, revision int64) (wire.Function, error) {
	var out wire.Function
	err := c.send(ctx, http.MethodPost, functionPath(name, "/disable"), nil, &out, ifMatch(revision))
	return out, err
}

// Enable has a function answer requests again. revision is the one that the caller
// has seen, 0 for any.
func (c *Client) Enable(ctx context.Context, name string, revision int64) (wire.Function, error) {
	var out wire.Function
	err := c.send(ctx, http.MethodPost, functionPath(name, "/enable"), nil, &out, ifMatch(revision))
	return out, err
}

// VersionFiles are the files of a version's package.
func (c *Client) VersionFiles(ctx context.Context, name string, number int) (wire.VersionFiles, error) {
	var out wire.VersionFiles
	err := c.get(ctx, functionPath(name, "/versions/", strconv.Itoa(number), "/files"), nil, &out)
	return out, err
}

// Templates are functions to begin with.
func (c *Client) Templates(ctx context.Context) ([]wire.Template, error) {
	var out wire.TemplateList
	err := c.get(ctx, "/templates", nil, &out)
	return out.Items, err
}

// SavedEvents are the payloads that are kept to call a function with, by name.
func (c *Client) SavedEvents(ctx context.Context, function string) ([]wire.Event, error) {
	var out wire.EventList
	err := c.get(ctx, functionPath(function, "/events"), nil, &out)
	return out.Items, err
}

// SaveEvent keeps body, any JSON, under a name.
func (c *Client) SaveEvent(ctx context.Context, function, name string, body json.RawMessage) (wire.Event, error) {
	var out wire.Event
	err := c.send(ctx, http.MethodPut, functionPath(function, "/events/", url.PathEscape(name)), body, &out, nil)
	return out, err
}

// DeleteSavedEvent forgets a payload.
func (c *Client) DeleteSavedEvent(ctx context.Context, function, name string) error {
	return c.send(ctx, http.MethodDelete, functionPath(function, "/events/", url.PathEscape(name)), nil, nil, nil)
}

// TestRoute sends a composed request through the gateway and tells what was
// answered; whatever status that is, it is no error here.
func (c *Client) TestRoute(ctx context.Context, function string, test wire.RouteTest) (wire.RouteResult, error) {
	var out wire.RouteResult
	err := c.send(ctx, http.MethodPost, functionPath(function, "/request"), test, &out, nil)
	return out, err
}

// Host is the machine right now.
func (c *Client) Host(ctx context.Context) (wire.Host, error) {
	var out wire.Host
	err := c.get(ctx, "/host", nil, &out)
	return out, err
}

// BenchRuns are the kept comparisons of the isolations, the newest first.
func (c *Client) BenchRuns(ctx context.Context) ([]wire.BenchRun, error) {
	var out wire.BenchRunList
	err := c.get(ctx, "/bench", nil, &out)
	return out.Items, err
}

// StartBench begins a comparison and does not wait for it.
func (c *Client) StartBench(ctx context.Context, o wire.BenchStart) (wire.BenchRun, error) {
	var out wire.BenchRun
	err := c.send(ctx, http.MethodPost, "/bench", o, &out, nil)
	return out, err
}

// BenchRun is one comparison, with its report when it is done.
func (c *Client) BenchRun(ctx context.Context, id string) (wire.BenchRun, error) {
	var out wire.BenchRun
	err := c.get(ctx, "/bench/"+url.PathEscape(id), nil, &out)
	return out, err
}

// DeleteBenchRun cancels a comparison that is under way and waits until it is gone;
// one that has ended is forgotten.
func (c *Client) DeleteBenchRun(ctx context.Context, id string) (wire.BenchRun, error) {
	var out wire.BenchRun
	err := c.send(ctx, http.MethodDelete, "/bench/"+url.PathEscape(id), nil, &out, nil)
	return out, err
}

// Costs is what a traffic would cost in every isolation of a comparison.
func (c *Client) Costs(ctx context.Context, q wire.CostQuery) (wire.CostAnswer, error) {
	var out wire.CostAnswer
	err := c.send(ctx, http.MethodPost, "/costs", q, &out, nil)
	return out, err
}
