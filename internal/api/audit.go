package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/auth"
	"github.com/covefn/cove/internal/store"
)

// Audit keeps who changed what. Errors are *cove.Error.
type Audit interface {
	AddAudit(ctx context.Context, e store.AuditEntry) error
	AuditLog(ctx context.Context, q store.AuditQuery) ([]store.AuditEntry, error)
}

// auditTimeout bounds how long an answer waits for its entry in the audit log.
const auditTimeout = 5 * time.Second

// refusedAtOnce and refusedEvery bound the entries about what one caller was
// refused: so many at once, and then one each so often.
const (
	refusedAtOnce = 100
	refusedEvery  = 10 * time.Second
)

func (a *API) registerAudit() {
	register(a, huma.Operation{
		OperationID: "listAudit", Method: http.MethodGet, Path: Prefix + "/audit", Tags: []string{"access"},
		Summary: "Read the audit log", Description: "Every change, refused ones among them, and every attempt to sign in, the newest first. Send `next` of one page as `before` for the one behind it.",
	}, wire.AuditList{Items: []wire.AuditEntry{{ID: 17, Time: exampleTime(), Actor: "user ada", Action: "createFunction", Target: "hello", Status: 201, RequestID: "r-1", Address: "127.0.0.1"}}, Next: "17"},
		a.listAudit, cove.CodeInvalid)
}

type auditInput struct {
	Actor  string `query:"actor" maxLength:"200" doc:"A part of who did it" example:"user ada"`
	Action string `query:"action" maxLength:"100" doc:"The operation's id" example:"createFunction"`
	Target string `query:"target" maxLength:"200" doc:"A part of what it was done to" example:"hello"`
	Before string `query:"before" maxLength:"20" doc:"next of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"100" doc:"How many at most"`
}

type auditOutput struct{ Body wire.AuditList }

func (a *API) listAudit(ctx context.Context, in *auditInput) (*auditOutput, error) {
	q := store.AuditQuery{Actor: in.Actor, Action: in.Action, Target: in.Target, Limit: in.Limit + 1}
	if in.Before != "" {
		n, err := strconv.ParseInt(in.Before, 10, 64)
		if err != nil || n < 1 {
			return nil, cove.Invalid("before", "must be next of the page before")
		}
		q.Before = n
	}
	entries, err := a.Audit.AuditLog(ctx, q)
	if err != nil {
		return nil, err
	}
	out := &auditOutput{Body: wire.AuditList{Items: make([]wire.AuditEntry, 0, len(entries))}}
	if len(entries) > in.Limit {
		entries = entries[:in.Limit]
		out.Body.Next = strconv.FormatInt(entries[in.Limit-1].ID, 10)
	}
	for _, e := range entries {
		out.Body.Items = append(out.Body.Items, wire.AuditEntry(e))
	}
	return out, nil
}

// auditNote is what a handler adds to the entry of its request.
type auditNote struct {
	actor, target, detail string
	// skip is set on what is not worth an entry.
	skip bool
}

func noteOf(ctx context.Context) *auditNote {
	if n, ok := ctx.Value(keyAudit).(*auditNote); ok {
		return n
	}
	return &auditNote{}
}

// noteTarget says in the audit log what the request was done to, where that is not
// in its path, and what changed; detail may be "". Neither may have a secret.
func noteTarget(ctx context.Context, target, detail string) {
	n := noteOf(ctx)
	n.target, n.detail = target, detail
}

// noteDetail says in the audit log what changed. It must have no secret.
func noteDetail(ctx context.Context, detail string) { noteOf(ctx).detail = detail }

// noteLogin says in the audit log who signed in or tried to. The name that was
// sent is told only if there is such a user: people type passwords into the wrong
// field.
func noteLogin(ctx context.Context, in wire.Login, c *auth.Caller, err error) {
	n := noteOf(ctx)
	n.actor, n.detail, n.skip = "somebody", "with a password", false
	if in.Code != "" {
		n.detail = "with a one-time link"
	}
	if c != nil {
		n.actor, n.target = c.Actor(), c.ID()
		return
	}
	var refused *auth.Refused
	if errors.As(err, &refused) {
		n.target, n.skip = refused.User, refused.Again
	}
}

// unaudited are the patterns of requests that are no changes though their method
// says so.
func unaudited(pattern string) bool {
	switch strings.TrimPrefix(pattern, "POST "+Prefix) {
	case "/functions/{name}/invoke", "/functions/{name}/request", "/functions/{name}/ready", "/costs":
		return true
	}
	return false
}

// audited calls next, and then writes down what it did. The entry is on disk
// before the answer, where that is small enough to be sent as a whole.
func (a *API) audited(w *recorder, r *http.Request, pattern string, caller *auth.Caller, next http.Handler) {
	if safeMethod(r.Method) || pattern == "" || unaudited(pattern) {
		next.ServeHTTP(w, r)
		return
	}
	note := &auditNote{actor: "somebody"}
	if caller != nil {
		note.actor = caller.Actor()
	}
	ctx := context.WithValue(r.Context(), keyAudit, note)
	r = r.WithContext(ctx)
	defer func() {
		if note.skip {
			return
		}
		if note.target == "" {
			note.target = target(r, pattern)
		}
		status := w.status
		if status == 0 {
			status = http.StatusInternalServerError // It panicked; what is told is not written yet.
		}
		if status >= 400 && caller != nil && a.tooManyRefused(note.actor) {
			return
		}
		a.addAudit(ctx, store.AuditEntry{
			Time: time.Now(), Actor: note.actor, Action: a.operations[pattern], Target: cut(note.target, 200), Detail: cut(note.detail, 500),
			Status: status, RequestID: requestID(ctx), Address: a.address(r).String(),
		})
	}()
	next.ServeHTTP(w, r)
}

// tooManyRefused says whether what was refused to the actor is not worth another
// entry: nobody who may change nothing can push out of the log what others did.
func (a *API) tooManyRefused(actor string) bool {
	wait, _ := a.refused.Take(actor, time.Now())
	return wait > 0
}

func (a *API) addAudit(ctx context.Context, e store.AuditEntry) {
	// Also where the caller has gone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditTimeout)
	defer cancel()
	if err := a.Audit.AddAudit(ctx, e); err != nil {
		a.Log.LogAttrs(ctx, slog.LevelError, "the audit log could not be written", slog.String("request_id", e.RequestID),
			slog.String("actor", e.Actor), slog.String("action", e.Action), slog.String("target", e.Target), slog.Int("status", e.Status), slog.Any("error", err))
	}
}

// target is what the path names: what stands where the pattern has a {name}. The
// router tells it only for requests that it was given, and not for those that were
// refused before.
func target(r *http.Request, pattern string) string {
	_, pattern, _ = strings.Cut(pattern, " ")
	given := strings.Split(r.URL.EscapedPath(), "/")
	var parts []string
	for i, part := range strings.Split(pattern, "/") {
		if !strings.HasPrefix(part, "{") || i >= len(given) {
			continue
		}
		if value, err := url.PathUnescape(given[i]); err == nil {
			parts = append(parts, value)
		}
	}
	return strings.Join(parts, " ")
}

// cut bounds text without leaving half a character.
func cut(text string, most int) string {
	if len(text) <= most {
		return strings.ToValidUTF8(text, "?")
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}
