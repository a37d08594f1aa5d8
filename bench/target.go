package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/bench"
)

// payload is what every arm is sent and must answer.
const payload = "The quick brown fox jumps over the lazy dog."

// target is an HTTP server that answers the payload: a bare one, or a function
// behind the gateway. The client is the same for both: Go's, with connections
// that are kept. It is safe for concurrent use.
type target struct {
	url    string
	host   string
	header http.Header
	client *http.Client

	// process is that of a bare server.
	process *process
	// function and daemon are set for one behind the gateway.
	function string
	daemon   *daemon
}

func newTarget(address, path, token string) *target {
	t := &target{
		url:    "http://" + address + path,
		header: http.Header{"Content-Type": {"text/plain"}},
		client: &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 1024, MaxIdleConns: 1024}},
	}
	if token != "" {
		t.header.Set("Authorization", "Bearer "+token)
	}
	return t
}

func (t *target) close() error {
	t.client.CloseIdleConnections()
	return nil
}

// post makes one call, checks the answer, and returns the request id.
func (t *target) post(ctx context.Context) (id string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, strings.NewReader(payload))
	if err != nil {
		return "", err
	}
	req.Header = t.header
	res, err := t.client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err == nil && string(body) != payload {
		err = fmt.Errorf("%s answered %d: %.300q", t.url, res.StatusCode, body)
	}
	return res.Header.Get("X-Request-Id"), err
}

// call is post for a load.
func (t *target) call(ctx context.Context) error {
	_, err := t.post(ctx)
	return err
}

// sample times one call.
func (t *target) sample(ctx context.Context) (bench.Sample, error) {
	began := time.Now()
	err := t.call(ctx)
	return bench.Sample{Took: time.Since(began)}, err
}

// sampleOf times one call and checks which class it had.
func (t *target) sampleOf(ctx context.Context, want cove.StartClass) (bench.Sample, error) {
	began := time.Now()
	id, err := t.post(ctx)
	took := time.Since(began)
	if err != nil {
		return bench.Sample{}, err
	}
	class, err := t.daemon.class(id)
	if err == nil && class != want {
		err = fmt.Errorf("the call was to be %s and was %s", want, class)
	}
	return bench.Sample{Took: took, Start: class}, err
}
