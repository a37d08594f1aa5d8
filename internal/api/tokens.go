package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/store"
)

func (a *API) registerTokens() {
	example := wire.Token{ID: "t-4k2m", Name: "ci", Role: "invoke", Functions: []string{"hello"}, Created: exampleTime()}
	register(a, huma.Operation{
		OperationID: "listTokens", Method: http.MethodGet, Path: Prefix + "/tokens", Tags: []string{"access"},
		Summary: "List tokens", Description: "Every access token, without its secret.",
	}, wire.TokenList{Items: []wire.Token{example}}, a.listTokens)
	register(a, huma.Operation{
		OperationID: "createToken", Method: http.MethodPost, Path: Prefix + "/tokens", Tags: []string{"access"}, DefaultStatus: http.StatusCreated,
		Summary: "Create a token", Description: "Makes an access token. Its secret is in this answer and never told again.",
	}, wire.NewToken{Token: example, Secret: "cove_..."}, a.createToken, cove.CodeInvalid, cove.CodeTooLarge)
	register(a, huma.Operation{
		OperationID: "deleteToken", Method: http.MethodDelete, Path: Prefix + "/tokens/{id}", Tags: []string{"access"},
		Summary: "Delete a token", Description: "The token is refused from the answer on.",
	}, nil, a.deleteToken, cove.CodeNotFound, cove.CodeConflict)
}

func wireToken(t store.Token) wire.Token {
	return wire.Token{ID: t.ID, Name: t.Name, Role: t.Role, Functions: t.Functions, Created: t.Created, Expires: t.Expires, LastUsed: t.LastUsed}
}

type tokensOutput struct{ Body wire.TokenList }

func (a *API) listTokens(ctx context.Context, _ *struct{}) (*tokensOutput, error) {
	tokens, err := a.Tokens.List(ctx)
	if err != nil {
		return nil, err
	}
	out := &tokensOutput{Body: wire.TokenList{Items: []wire.Token{}}}
	for _, t := range tokens {
		out.Body.Items = append(out.Body.Items, wireToken(t))
	}
	return out, nil
}

type createTokenInput struct{ Body wire.TokenCreate }

type createTokenOutput struct{ Body wire.NewToken }

func (a *API) createToken(ctx context.Context, in *createTokenInput) (*createTokenOutput, error) {
	b := in.Body
	var expires time.Time
	if b.TTL < 0 {
		return nil, cove.Invalid("ttl", "must not be negative; 0 means for ever")
	}
	if b.TTL > 0 {
		expires = time.Now().Add(b.TTL.Std())
	}
	if err := mayGive(ctx, b.Role); err != nil {
		return nil, err
	}
	secret, t, err := a.Tokens.Create(ctx, b.Name, b.Role, b.Functions, expires)
	if err != nil {
		return nil, err
	}
	noteTarget(ctx, t.ID, "role "+t.Role+": "+t.Name)
	return &createTokenOutput{Body: wire.NewToken{Token: wireToken(t), Secret: secret}}, nil
}

type deleteTokenInput struct {
	ID string `path:"id" maxLength:"100" doc:"The token's id, not its secret" example:"t-4k2m"`
}

func (a *API) deleteToken(ctx context.Context, in *deleteTokenInput) (*struct{}, error) {
	if callerOf(ctx).Token == in.ID {
		return nil, cove.Errorf(cove.CodeConflict, "this is the token of the request itself, or the one that its session was made with; use another one to delete it")
	}
	return nil, a.Tokens.Delete(ctx, in.ID)
}
