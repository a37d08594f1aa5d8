package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/templates"
)

func (a *API) registerTemplates() {
	register(a, huma.Operation{
		OperationID: "listTemplates", Method: http.MethodGet, Path: Prefix + "/templates", Tags: []string{"functions"},
		Summary:     "List templates",
		Description: "Functions to begin with. `config` with another name and route, and `files`, are the body of a creation; `event` is one to try it with.",
	}, wire.TemplateList{Items: []wire.Template{{
		Name: "python", Title: "Python", Description: "Answers HTTP requests with a greeting.", Runtime: "python",
		Config: exampleCreate().Config, Files: exampleCreate().Files, Event: []byte(`{"pathParameters": {"name": "world"}}`),
	}}}, a.listTemplates)
}

type templatesOutput struct{ Body wire.TemplateList }

func (a *API) listTemplates(context.Context, *struct{}) (*templatesOutput, error) {
	items, err := templates.All()
	if err != nil {
		return nil, err
	}
	return &templatesOutput{Body: wire.TemplateList{Items: items}}, nil
}
