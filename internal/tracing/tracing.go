// Package tracing tells a collector of OpenTelemetry of every invocation, as spans
// over OTLP/HTTP with JSON (opentelemetry.io/docs/specs/otlp).
//
// An invocation is one span, with a child for each phase that took time: waiting,
// making the sandbox, loading the function, running it. It is a child of the span
// that the caller names by a traceparent (w3.org/TR/trace-context), and the
// function is handed a traceparent that names it. A caller who says that his trace
// is not sampled is believed.
package tracing

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/covefn/cove"
)

const (
	// maxWaiting is how many invocations wait to be sent; what comes beyond is
	// dropped. maxBatch is how many are sent at once.
	maxWaiting = 4096
	maxBatch   = 512
	// sendInterval is how long one waits at most, sendTimeout how long sending may
	// take.
	sendInterval = 2 * time.Second
	sendTimeout  = 10 * time.Second
	// complainInterval is how often it is logged that the collector cannot be
	// reached.
	complainInterval = time.Minute
)

// Tracer is an invoke.Tracer that sends spans to a collector. It is safe for
// concurrent use, but for Start and Close, which are called once each.
type Tracer struct {
	url     string
	version string
	log     *slog.Logger
	http    *http.Client

	mu      sync.Mutex
	waiting []ended
	dropped atomic.Int64

	wake       chan struct{}
	stop, done chan struct{}
	// sending ends when what Run sends is to be given up; giveUp ends it.
	sending context.Context
	giveUp  context.CancelFunc
	// complained is when a failure was logged last.
	complained time.Time
}

// ended is an invocation to be told.
type ended struct {
	parent, own string
	record      cove.Invocation
}

// URL is where spans are sent for an endpoint as it is configured, which may leave
// out the path. The error says what an endpoint looks like.
func URL(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", fmt.Errorf("%q is no address of a collector: write one such as http://127.0.0.1:4318", endpoint)
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/v1/traces"
	}
	return u.String(), nil
}

// New returns a tracer that sends to url, see URL. It sends nothing before Run.
func New(url, version string, log *slog.Logger) *Tracer {
	sending, giveUp := context.WithCancel(context.Background())
	return &Tracer{
		url: url, version: version, log: log, sending: sending, giveUp: giveUp,
		http: &http.Client{Timeout: sendTimeout, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute}},
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
}

// Run sends what has ended, every few moments, until Close.
func (t *Tracer) Run() {
	go func() {
		defer close(t.done)
		tick := time.NewTicker(sendInterval)
		defer tick.Stop()
		for {
			select {
			case <-t.stop:
				return
			case <-tick.C:
			case <-t.wake:
			}
			t.sendAll(t.sending)
		}
	}()
}

// Close sends what is left, for as long as ctx, also where the collector does not
// answer. It must come after Run.
func (t *Tracer) Close(ctx context.Context) {
	defer t.giveUp()
	close(t.stop)
	defer context.AfterFunc(ctx, t.giveUp)()
	<-t.done
	t.sendAll(ctx)
	t.http.CloseIdleConnections()
}

// Start is described at invoke.Tracer.
func (t *Tracer) Start(parent string) string {
	var span [8]byte
	rand.Read(span[:]) // Never fails; see crypto/rand.
	if Valid(parent) {
		return parent[:36] + hex.EncodeToString(span[:]) + "-" + parent[53:55]
	}
	var trace [16]byte
	rand.Read(trace[:])
	return "00-" + hex.EncodeToString(trace[:]) + "-" + hex.EncodeToString(span[:]) + "-01"
}

// Valid says whether s is a traceparent of the form that is known: version 00,
// with neither id all zeros.
func Valid(s string) bool {
	if len(s) != 55 || s[:3] != "00-" || s[35] != '-' || s[52] != '-' || strings.Trim(s[3:35], "0") == "" || strings.Trim(s[36:52], "0") == "" {
		return false
	}
	_, err := hex.DecodeString(s[3:35] + s[36:52] + s[53:55])
	return err == nil && s == strings.ToLower(s)
}

// sampled says whether a valid traceparent wants to be told.
func sampled(traceparent string) bool {
	flags, _ := hex.DecodeString(traceparent[53:55])
	return flags[0]&1 == 1
}

// End is described at invoke.Tracer.
func (t *Tracer) End(parent, traceparent string, record *cove.Invocation) {
	if !sampled(traceparent) {
		return
	}
	if !Valid(parent) {
		parent = ""
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) >= maxWaiting {
		t.dropped.Add(1)
		return
	}
	t.waiting = append(t.waiting, ended{parent, traceparent, *record})
	if len(t.waiting)%maxBatch == 0 {
		select {
		case t.wake <- struct{}{}:
		default: // It is awake.
		}
	}
}

// sendAll sends what waits, batch by batch. What cannot be sent is dropped: a
// collector that is away must not cost the daemon its memory.
func (t *Tracer) sendAll(ctx context.Context) {
	for {
		t.mu.Lock()
		n := min(len(t.waiting), maxBatch)
		batch := t.waiting[:n:n]
		if t.waiting = t.waiting[n:]; len(t.waiting) == 0 {
			t.waiting = nil
		}
		t.mu.Unlock()
		if n == 0 {
			return
		}
		if err := t.send(ctx, batch); err != nil {
			t.dropped.Add(int64(n))
			if now := time.Now(); now.Sub(t.complained) > complainInterval {
				t.complained = now
				t.log.Warn("traces could not be sent and are dropped", "error", err, "dropped", t.dropped.Load())
			}
		}
	}
}

func (t *Tracer) send(ctx context.Context, batch []ended) error {
	body, err := json.Marshal(t.request(batch))
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "cove/"+t.version)
	answer, err := t.http.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10))
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("the collector answered %s", answer.Status)
	}
	return nil
}
