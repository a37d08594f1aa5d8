package client

import (
	"context"
	"encoding/json"
	"io"
	"iter"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
)

// Query filters and pages a list of functions; what is zero does not.
type Query struct {
	Search    string
	Runtime   string
	Isolation string
	// After is the Next of the page before; Limit is 1 to 500.
	After string
	Limit int
}

func (q Query) values() url.Values {
	v := url.Values{}
	set := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	set("search", q.Search)
	set("runtime", q.Runtime)
	set("isolation", q.Isolation)
	set("after", q.After)
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return v
}

// Functions is one page of functions in the order of their names.
func (c *Client) Functions(ctx context.Context, q Query) (wire.FunctionList, error) {
	var out wire.FunctionList
	err := c.get(ctx, "/functions", q.values(), &out)
	return out, err
}

// AllFunctions yields every function that q matches, page by page; it ends at
// the first error.
func (c *Client) AllFunctions(ctx context.Context, q Query) iter.Seq2[wire.Function, error] {
	return func(yield func(wire.Function, error) bool) {
		for {
			page, err := c.Functions(ctx, q)
			if err != nil {
				yield(wire.Function{}, err)
				return
			}
			for _, f := range page.Items {
				if !yield(f, nil) {
					return
				}
			}
			if q.After = page.Next; q.After == "" {
				return
			}
		}
	}
}

// Function is one function, or CodeNotFound.
func (c *Client) Function(ctx context.Context, name string) (wire.Function, error) {
	var out wire.Function
	err := c.get(ctx, functionPath(name), nil, &out)
	return out, err
}

// Archive is code on its way up. Its reader is read once.
type Archive struct {
	Reader io.Reader
	// Format is "zip" or "tar.gz".
	Format string
}

func (a *Archive) contentType() string {
	if a.Format == "zip" {
		return "application/zip"
	}
	return "application/gzip"
}

// Create makes a function; code may be nil.
func (c *Client) Create(ctx context.Context, cfg cove.Config, code *Archive) (wire.Function, error) {
	return c.deploy(ctx, http.MethodPost, "/functions", cfg, code, 0)
}

// Replace replaces the whole configuration of a function and, if code is not
// nil, its code in the same step. revision is the one that the caller has seen,
// 0 for any.
func (c *Client) Replace(ctx context.Context, name string, cfg cove.Config, code *Archive, revision int64) (wire.Function, error) {
	return c.deploy(ctx, http.MethodPut, functionPath(name), cfg, code, revision)
}

func (c *Client) deploy(ctx context.Context, method, path string, cfg cove.Config, code *Archive, revision int64) (wire.Function, error) {
	var out wire.Function
	document, err := ConfigDocument(cfg)
	if err != nil {
		return out, err
	}
	if code == nil {
		err := c.change(ctx, method, path, document, &out, ifMatch(revision))
		return out, err
	}
	r, w := io.Pipe()
	form := multipart.NewWriter(w)
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.CloseWithError(writeForm(form, document, code))
	}()
	err = c.do(ctx, call{method: method, path: path, query: c.changing(), header: ifMatch(revision), body: r, contentType: form.FormDataContentType()}, &out)
	// If the server answered before it read everything, the writer still waits.
	r.Close()
	<-done
	return out, err
}

func writeForm(form *multipart.Writer, document any, code *Archive) error {
	part, err := form.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="config"`}, "Content-Type": {"application/json"},
	})
	if err != nil {
		return err
	}
	if err := json.NewEncoder(part).Encode(document); err != nil {
		return err
	}
	part, err = form.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="code"; filename="code.` + code.Format + `"`}, "Content-Type": {code.contentType()},
	})
	if err != nil {
		return err
	}
	if _, err := io.Copy(part, code.Reader); err != nil {
		return err
	}
	return form.Close()
}

// ConfigDocument is cfg as it is sent: unlike its plain JSON form, which is for
// readers, it holds the values of secrets.
func ConfigDocument(cfg cove.Config) (map[string]any, error) {
	data, err := json.Marshal(cfg)
	if err != nil {
		return nil, cove.Errorf(cove.CodeInvalid, "the configuration cannot be written as JSON: %w", err)
	}
	var document map[string]any
	if err := json.Unmarshal(data, &document); err != nil {
		return nil, err
	}
	env := map[string]any{}
	for name, v := range cfg.Env {
		switch {
		case v.Secret && v.Value != "":
			env[name] = map[string]any{"value": v.Value, "secret": true}
		case v.Secret:
			env[name] = map[string]any{"secret": true}
		default:
			env[name] = v.Value
		}
	}
	if len(env) > 0 {
		document["env"] = env
	}
	return document, nil
}

func ifMatch(revision int64) http.Header {
	if revision == 0 {
		return nil
	}
	return http.Header{"If-Match": {`"` + strconv.FormatInt(revision, 10) + `"`}}
}

// Patch changes fields of a configuration; patch is a JSON merge patch, in which
// nil sets a default. revision is the one that the caller has seen, 0 for any.
func (c *Client) Patch(ctx context.Context, name string, patch map[string]any, revision int64) (wire.Function, error) {
	var out wire.Function
	err := c.change(ctx, http.MethodPatch, functionPath(name), patch, &out, ifMatch(revision))
	return out, err
}

// Delete removes a function. revision is the one that the caller has seen, 0
// for any.
func (c *Client) Delete(ctx context.Context, name string, revision int64) error {
	return c.send(ctx, http.MethodDelete, functionPath(name), nil, nil, ifMatch(revision))
}

// PutCode replaces a function's code.
func (c *Client) PutCode(ctx context.Context, name string, code Archive, revision int64) (wire.Function, error) {
	var out wire.Function
	err := c.do(ctx, call{
		method: http.MethodPut, path: functionPath(name, "/code"), query: c.changing(), header: ifMatch(revision), body: code.Reader, contentType: code.contentType(),
	}, &out)
	return out, err
}

// PutFiles replaces a function's code by files given one by one.
func (c *Client) PutFiles(ctx context.Context, name string, files wire.Files, revision int64) (wire.Function, error) {
	var out wire.Function
	err := c.change(ctx, http.MethodPut, functionPath(name, "/code"), map[string]any{"files": files}, &out, ifMatch(revision))
	return out, err
}

// PatchFiles changes single files of the active version's package: contents by path,
// nil for one that is to go. The others stay as they are.
func (c *Client) PatchFiles(ctx context.Context, name string, files map[string]*wire.File, revision int64) (wire.Function, error) {
	var out wire.Function
	err := c.change(ctx, http.MethodPatch, functionPath(name, "/code"), wire.FilesPatch{Files: files}, &out, ifMatch(revision))
	return out, err
}

// Code opens the archive of a version, 0 for the active one. The caller closes
// the reader.
func (c *Client) Code(ctx context.Context, name string, version int) (archive io.ReadCloser, format string, err error) {
	query := url.Values{}
	if version > 0 {
		query.Set("version", strconv.Itoa(version))
	}
	res, err := c.open(ctx, call{method: http.MethodGet, path: functionPath(name, "/code"), query: query})
	if err != nil {
		return nil, "", err
	}
	format = "tar.gz"
	if res.Header.Get("Content-Type") == "application/zip" {
		format = "zip"
	}
	return res.Body, format, nil
}

// Versions are every kept version of a function, the newest first.
func (c *Client) Versions(ctx context.Context, name string) (wire.VersionList, error) {
	var out wire.VersionList
	err := c.get(ctx, functionPath(name, "/versions"), nil, &out)
	return out, err
}

// Version is one version of a function.
func (c *Client) Version(ctx context.Context, name string, number int) (cove.Version, error) {
	var out cove.Version
	err := c.get(ctx, functionPath(name, "/versions/", strconv.Itoa(number)), nil, &out)
	return out, err
}

// Rollback makes an existing version the active one; 0 is the one before.
func (c *Client) Rollback(ctx context.Context, name string, version int, revision int64) (wire.Function, error) {
	var out wire.Function
	err := c.change(ctx, http.MethodPost, functionPath(name, "/rollback"), wire.Rollback{Version: version}, &out, ifMatch(revision))
	return out, err
}
