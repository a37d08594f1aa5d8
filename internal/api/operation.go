package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/covefn/cove"
)

// register is huma.Register with errors of any kind made into problems, the
// answers documented, and an example of the answer.
func register[I, O any](a *API, op huma.Operation, example any, h func(context.Context, *I) (*O, error), codes ...cove.Code) {
	a.answers(&op, codes...)
	op.MaxBodyBytes = maxJSON
	op.BodyReadTimeout = a.BodyTimeout
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := h(ctx, in)
		if err != nil {
			return nil, a.fail(ctx, err)
		}
		return out, nil
	})
	if example == nil {
		return
	}
	if stored := a.operation(op.Method, op.Path); stored != nil {
		for status, r := range stored.Responses {
			if m := r.Content["application/json"]; strings.HasPrefix(status, "2") && m != nil {
				m.Example = example
			}
		}
	}
}

func (a *API) operation(method, path string) *huma.Operation {
	item := a.huma.OpenAPI().Paths[path]
	switch method {
	case http.MethodGet:
		return item.Get
	case http.MethodPost:
		return item.Post
	case http.MethodPatch:
		return item.Patch
	case http.MethodDelete:
		return item.Delete
	}
	return nil
}

// NameInput is the path of one function. It is exported because huma fills
// embedded fields of exported types only.
type NameInput struct {
	Name string `path:"name" doc:"The function's name" example:"hello"`
}

func (in NameInput) check() error {
	if !namePattern.MatchString(in.Name) {
		return cove.Errorf(cove.CodeNotFound, "there is no function %q", in.Name)
	}
	return nil
}

func etag(revision int64) string { return `"` + strconv.FormatInt(revision, 10) + `"` }

// revision reads an If-Match header; 0 is any.
func revision(header string) (int64, error) {
	header = strings.TrimSpace(header)
	if header == "" || header == "*" {
		return 0, nil
	}
	quoted := len(header) > 2 && header[0] == '"' && header[len(header)-1] == '"'
	if quoted {
		header = header[1 : len(header)-1]
	}
	n, err := strconv.ParseInt(header, 10, 64)
	if err != nil || n < 1 {
		return 0, cove.Invalid("If-Match", `must be the ETag of the function as it was answered, such as "3"`)
	}
	return n, nil
}
