package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
)

// maxFileReads is how many answers full of files may be made at once: each of
// them holds all that it tells in memory.
const maxFileReads = 4

func (a *API) registerFiles() {
	register(a, huma.Operation{
		OperationID: "getVersionFiles", Method: http.MethodGet, Path: Prefix + "/functions/{name}/versions/{number}/files", Tags: []string{"code"},
		Summary:     "Read the files of a version",
		Description: "The files of a version's package, unpacked: text as it is, what is no text in base64. Files beyond 1 MiB each, or 16 MiB and 2,000 files in all, are left out and named in `skipped`, as are links to directories; `GET /functions/{name}/code` has everything. Environment variables are not among the files.",
	}, wire.VersionFiles{Version: 3, Files: exampleCreate().Files}, a.versionFiles, cove.CodeInvalid, cove.CodeNotFound, cove.CodeNoCode)
}

type filesOutput struct{ Body wire.VersionFiles }

func (a *API) versionFiles(ctx context.Context, in *versionInput) (*filesOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	select {
	case a.fileReads <- struct{}{}:
		defer func() { <-a.fileReads }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	found, err := a.Functions.Files(ctx, in.Name, in.Number)
	if err != nil {
		return nil, err
	}
	out := wire.VersionFiles{Version: in.Number, Files: make(wire.Files, len(found.Contents)), Skipped: found.Skipped}
	for path, content := range found.Contents {
		out.Files[path] = content
	}
	return &filesOutput{Body: out}, nil
}
