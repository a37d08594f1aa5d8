package api

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/deploy"
	"github.com/covefn/cove/internal/strictjson"
)

func (a *API) registerCode() {
	a.plain(huma.Operation{
		OperationID: "putCode", Method: http.MethodPut, Path: Prefix + "/functions/{name}/code", Tags: []string{"code"},
		Summary:     "Upload code",
		Description: "Replaces the function's code by an archive or by files given one by one, checks it, and makes a new version, which serves every request that begins after the answer. On any error nothing is kept and the old code goes on.",
		Parameters:  []*huma.Param{pathName(), ifMatch(), warmParam()},
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			"application/zip":  binary("A zip archive"),
			"application/gzip": binary("A tar archive, compressed with gzip"),
			"application/json": jsonContent[inlineFiles](a, inlineFiles{Files: exampleCreate().Files})["application/json"],
		}},
		Responses: map[string]*huma.Response{"200": response[wire.Function](a, "Replaced", exampleFunction())},
	}, a.putCode, warmCodes(cove.CodeInvalid, cove.CodeNotFound, cove.CodePreconditionFailed, cove.CodeTooLarge, cove.CodeUnsupportedMedia, cove.CodeRequestTimeout)...)
	a.plain(huma.Operation{
		OperationID: "patchCode", Method: http.MethodPatch, Path: Prefix + "/functions/{name}/code", Tags: []string{"code"},
		Summary:     "Change single files",
		Description: "Changes, adds and removes files of the active version's package; all others stay, with their links and modes. Makes a new version, which serves every request that begins after the answer.",
		Parameters:  []*huma.Param{pathName(), ifMatch(), warmParam()},
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {
			Schema: &huma.Schema{Type: huma.TypeObject, Required: []string{"files"}, AdditionalProperties: false, Properties: map[string]*huma.Schema{
				"files": {Type: huma.TypeObject, Description: "Contents by path, as in a creation; null removes the file",
					AdditionalProperties: &huma.Schema{OneOf: append(fileSchema("").Schema(nil).OneOf, &huma.Schema{Type: "null"})}},
			}},
			Example: map[string]any{"files": map[string]any{"main.py": "def handler(event, context):\n    return 'hello'\n", "old.py": nil}},
		}}},
		Responses: map[string]*huma.Response{"200": response[wire.Function](a, "Changed", exampleFunction())},
	}, a.patchCode, warmCodes(cove.CodeInvalid, cove.CodeNotFound, cove.CodeNoCode, cove.CodePreconditionFailed, cove.CodeTooLarge, cove.CodeRequestTimeout)...)
	a.plain(huma.Operation{
		OperationID: "getCode", Method: http.MethodGet, Path: Prefix + "/functions/{name}/code", Tags: []string{"code"},
		Summary: "Download code", Description: "The archive of the active version, or of the one asked for, byte for byte as it was uploaded. `Repr-Digest` holds its SHA-256.",
		Parameters: []*huma.Param{pathName(), {Name: "version", In: "query", Description: "The number of a version; absent for the active one",
			Schema: &huma.Schema{Type: huma.TypeInteger}}},
		Responses: map[string]*huma.Response{"200": {Description: "The archive", Content: map[string]*huma.MediaType{
			"application/zip": binary("If a zip was uploaded"), "application/gzip": binary("If a tar.gz was uploaded"),
		}}},
	}, a.getCode, cove.CodeInvalid, cove.CodeNotFound, cove.CodeNoCode)
}

type inlineFiles struct {
	Files wire.Files `json:"files" doc:"Contents by path"`
}

func multipartBody(a *API) *huma.MediaType {
	registry := a.huma.OpenAPI().Components.Schemas
	return &huma.MediaType{
		Schema: &huma.Schema{Type: huma.TypeObject, Required: []string{"config"}, Properties: map[string]*huma.Schema{
			"config": registry.Schema(reflect.TypeFor[cove.Config](), true, ""),
			"code":   {Type: huma.TypeString, Format: "binary", Description: "A zip or tar.gz archive; behind the config"},
		}},
		Encoding: map[string]*huma.Encoding{
			"config": {ContentType: "application/json"}, "code": {ContentType: "application/zip, application/gzip"},
		},
	}
}

// progressReader gives each read of an upload a time, so that an upload may
// take long but not stand still.
type progressReader struct {
	io.Reader
	w       http.ResponseWriter
	timeout time.Duration
	ended   bool
}

func (p *progressReader) Read(b []byte) (int, error) {
	// Behind its end net/http listens for the caller's leaving, for which a time
	// that ran out would be taken.
	if !p.ended {
		setReadDeadline(p.w, p.timeout)
	}
	n, err := p.Reader.Read(b)
	p.ended = p.ended || errors.Is(err, io.EOF)
	if err != nil && !errors.Is(err, io.EOF) {
		err = bodyError(err)
	}
	return n, err
}

func (a *API) upload(w http.ResponseWriter, r *http.Request) io.Reader {
	// A form adds little to the archive in it.
	limited := http.MaxBytesReader(w, r.Body, int64(a.MaxPackage)+maxJSON)
	return &progressReader{Reader: limited, w: w, timeout: a.BodyTimeout}
}

// bodyCause prefers the reason why a body could not be read to what the use
// case made of it.
func bodyCause(err error) error {
	var tooLarge *http.MaxBytesError
	for _, code := range []cove.Code{cove.CodeTooLarge, cove.CodeRequestTimeout} {
		if inner := causeOf(err, code); inner != nil {
			return inner
		}
	}
	if errors.As(err, &tooLarge) {
		return bodyError(err)
	}
	return err
}

// causeOf finds an error of code below the outermost *cove.Error.
func causeOf(err error, code cove.Code) *cove.Error {
	for e := cove.AsError(err); e != nil; {
		if e.Code == code {
			return e
		}
		var next *cove.Error
		if !errors.As(e.Err, &next) {
			return nil
		}
		e = next
	}
	return nil
}

func (a *API) readJSON(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	setReadDeadline(w, a.BodyTimeout)
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return nil, bodyError(err)
	}
	return data, nil
}

// readDeploy reads a configuration with or without code. An archive is left
// unread, for the use case to stream.
func (a *API) readDeploy(w http.ResponseWriter, r *http.Request) (cove.Config, deploy.Code, error) {
	media, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch media {
	case "multipart/form-data":
		return readForm(a.upload(w, r), params["boundary"])
	case "application/json", "":
		data, err := a.readJSON(w, r, maxInline)
		if err != nil {
			return cove.Config{}, deploy.Code{}, err
		}
		var body wire.Create
		if fields := strictjson.Decode(data, &body); len(fields) > 0 {
			return cove.Config{}, deploy.Code{}, cove.InvalidFields(fields)
		}
		return body.Config, inline(body.Files), nil
	default:
		return cove.Config{}, deploy.Code{}, unsupported(media, "application/json, multipart/form-data")
	}
}

func unsupported(got, want string) error {
	return cove.Errorf(cove.CodeUnsupportedMedia, "the body's content type is %q; send one of %s", got, want)
}

func inline(files wire.Files) deploy.Code {
	if len(files) == 0 {
		return deploy.Code{}
	}
	code := deploy.Code{Files: make(map[string][]byte, len(files))}
	for path, content := range files {
		code.Files[path] = content
	}
	return code
}

func readForm(body io.Reader, boundary string) (cove.Config, deploy.Code, error) {
	var cfg cove.Config
	form := multipart.NewReader(body, boundary)
	part, err := form.NextPart()
	if err != nil {
		return cfg, deploy.Code{}, formError(err)
	}
	if part.FormName() != "config" {
		return cfg, deploy.Code{}, cove.Invalid("config", "the first part of the form must be config, the configuration in JSON; this one is %q", part.FormName())
	}
	data, err := io.ReadAll(io.LimitReader(part, maxJSON+1))
	if err != nil {
		return cfg, deploy.Code{}, bodyError(err)
	}
	if len(data) > maxJSON {
		return cfg, deploy.Code{}, cove.Errorf(cove.CodeTooLarge, "the configuration is larger than %s", cove.ByteSize(maxJSON))
	}
	if fields := strictjson.Decode(data, &cfg); len(fields) > 0 {
		return cfg, deploy.Code{}, cove.InvalidFields(fields)
	}
	part, err = form.NextPart()
	if errors.Is(err, io.EOF) {
		return cfg, deploy.Code{}, nil
	}
	if err != nil {
		return cfg, deploy.Code{}, formError(err)
	}
	if part.FormName() != "code" {
		return cfg, deploy.Code{}, cove.Invalid("code", "the second part of the form must be code, the archive; this one is %q", part.FormName())
	}
	format, err := archiveFormat(part.Header.Get("Content-Type"), part.FileName())
	return cfg, deploy.Code{Archive: lastPart{part, body}, Format: format}, err
}

// lastPart is the last part of a form, behind which the body is read to its end:
// what was not read keeps net/http from noticing that the caller leaves.
type lastPart struct {
	io.Reader
	body io.Reader
}

// Read is the part's.
func (l lastPart) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		_, _ = io.Copy(io.Discard, l.body)
	}
	return n, err
}

func formError(err error) error {
	if e := bodyError(err); cove.CodeOf(e) != cove.CodeInvalid {
		return e
	}
	return &cove.Error{Code: cove.CodeInvalid, Message: "the multipart form is not valid: it must have a part config and may have a part code behind it", Err: err}
}

// archiveFormat tells the form of an archive by its content type, or by its
// file name where that says nothing.
func archiveFormat(contentType, filename string) (string, error) {
	media, _, _ := mime.ParseMediaType(contentType)
	switch media {
	case "application/zip", "application/x-zip-compressed":
		return "zip", nil
	case "application/gzip", "application/x-gzip", "application/x-tar+gzip", "application/tar+gzip", "application/x-gtar":
		return "tar.gz", nil
	case "", "application/octet-stream":
		switch {
		case strings.HasSuffix(filename, ".zip"):
			return "zip", nil
		case strings.HasSuffix(filename, ".tar.gz"), strings.HasSuffix(filename, ".tgz"):
			return "tar.gz", nil
		}
	}
	return "", unsupported(media, "application/zip, application/gzip, application/json")
}

func (a *API) putCode(w http.ResponseWriter, r *http.Request) error {
	name, rev, warm, err := changeOf(r)
	if err != nil {
		return err
	}
	code, err := a.readCode(w, r)
	if err != nil {
		return err
	}
	f, err := a.Functions.Update(r.Context(), name, deploy.Change{Code: code, IfRevision: rev, Warm: warm})
	if err != nil {
		return bodyCause(err)
	}
	noteDetail(r.Context(), "version "+strconv.Itoa(f.Version.Number))
	return a.writeFunction(w, http.StatusOK, f)
}

// patchCode tries again when somebody else changed the function meanwhile, unless
// the caller said what it must be.
func (a *API) patchCode(w http.ResponseWriter, r *http.Request) error {
	name, rev, warm, err := changeOf(r)
	if err != nil {
		return err
	}
	data, err := a.readJSON(w, r, maxInline)
	if err != nil {
		return err
	}
	var body wire.FilesPatch
	if fields := strictjson.Decode(data, &body); len(fields) > 0 {
		return cove.InvalidFields(fields)
	}
	if len(body.Files) == 0 {
		return cove.Invalid("files", "at least one file is needed")
	}
	edits := make(map[string][]byte, len(body.Files))
	for path, content := range body.Files {
		if edits[path] = nil; content != nil {
			edits[path] = append([]byte{}, *content...)
		}
	}
	const attempts = 5
	for attempt := 1; ; attempt++ {
		f, err := a.Functions.Update(r.Context(), name, deploy.Change{Edits: edits, IfRevision: rev, Warm: warm})
		if err == nil {
			noteDetail(r.Context(), "version "+strconv.Itoa(f.Version.Number))
			return a.writeFunction(w, http.StatusOK, f)
		}
		if rev != 0 || attempt == attempts || !errors.Is(err, &cove.Error{Code: cove.CodePreconditionFailed}) {
			return err
		}
	}
}

func (a *API) readCode(w http.ResponseWriter, r *http.Request) (deploy.Code, error) {
	contentType := r.Header.Get("Content-Type")
	if media, _, _ := mime.ParseMediaType(contentType); media == "application/json" {
		data, err := a.readJSON(w, r, maxInline)
		if err != nil {
			return deploy.Code{}, err
		}
		var body inlineFiles
		if fields := strictjson.Decode(data, &body); len(fields) > 0 {
			return deploy.Code{}, cove.InvalidFields(fields)
		}
		if len(body.Files) == 0 {
			return deploy.Code{}, cove.Invalid("files", "at least one file is needed")
		}
		return inline(body.Files), nil
	}
	format, err := archiveFormat(contentType, "")
	if err != nil {
		return deploy.Code{}, err
	}
	return deploy.Code{Archive: a.upload(w, r), Format: format}, nil
}

func (a *API) getCode(w http.ResponseWriter, r *http.Request) error {
	name, err := functionName(r)
	if err != nil {
		return err
	}
	number := 0
	if s := r.URL.Query().Get("version"); s != "" {
		if number, err = strconv.Atoi(s); err != nil || number < 1 {
			return cove.Invalid("version", "must be the number of a version")
		}
	} else {
		f, err := a.Functions.Get(r.Context(), name)
		if err != nil {
			return err
		}
		number = f.Version.Number
	}
	archive, pkg, err := a.Functions.Archive(r.Context(), name, number)
	if err != nil {
		return err
	}
	defer archive.Close()
	contentType := "application/gzip"
	if pkg.Format == "zip" {
		contentType = "application/zip"
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.FormatInt(pkg.Size, 10))
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{
		"filename": name + "-" + strconv.Itoa(number) + "." + pkg.Format,
	}))
	h.Set("Repr-Digest", reprDigest(pkg.SHA256))
	w.WriteHeader(http.StatusOK)
	if _, err := io.Copy(progressWriter{w, a.WriteTimeout}, archive); err != nil {
		// The head is sent; the length tells the caller that it was cut.
		panic(http.ErrAbortHandler)
	}
	return nil
}
