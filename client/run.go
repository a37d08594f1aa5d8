package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
)

// Invoke calls a function with event, any JSON or nothing. A function that
// fails is no error here: Result.Outcome tells.
func (c *Client) Invoke(ctx context.Context, name string, event []byte) (wire.Result, error) {
	return c.InvokeTimeout(ctx, name, event, 0)
}

// InvokeTimeout is Invoke with a bound for the whole request, kept by the
// server: queueing and starting included. 0 is none.
func (c *Client) InvokeTimeout(ctx context.Context, name string, event []byte, timeout time.Duration) (wire.Result, error) {
	q := call{method: http.MethodPost, path: functionPath(name, "/invoke"), header: http.Header{}, body: bytes.NewReader(event), contentType: "application/json"}
	if timeout > 0 {
		q.header.Set("Cove-Timeout", timeout.String())
	}
	var out wire.Result
	err := c.do(ctx, q, &out)
	return out, err
}

// Ready returns when an instance has loaded the function's active version, or
// with the error of loading it.
func (c *Client) Ready(ctx context.Context, name string) (wire.Ready, error) {
	var out wire.Ready
	err := c.send(ctx, http.MethodPost, functionPath(name, "/ready"), nil, &out, nil)
	return out, err
}

// LogQuery chooses lines of a log.
type LogQuery struct {
	// Tail is how many lines of the past at most.
	Tail int
	// RequestID limits them to one invocation.
	RequestID string
}

func (q LogQuery) values() url.Values {
	v := url.Values{"tail": {strconv.Itoa(q.Tail)}}
	if q.RequestID != "" {
		v.Set("request_id", q.RequestID)
	}
	return v
}

// Logs are the latest lines of a function's log, the oldest first.
func (c *Client) Logs(ctx context.Context, name string, q LogQuery) ([]wire.LogLine, error) {
	var out wire.LogList
	err := c.get(ctx, functionPath(name, "/logs"), q.values(), &out)
	return out.Items, err
}

// FollowLogs yields the latest lines and then every new one, until ctx ends or
// the server does. An error comes last.
func (c *Client) FollowLogs(ctx context.Context, name string, q LogQuery) iter.Seq2[wire.LogLine, error] {
	return func(yield func(wire.LogLine, error) bool) {
		query := q.values()
		query.Set("follow", "true")
		res, err := c.open(ctx, call{method: http.MethodGet, path: functionPath(name, "/logs"), query: query})
		if err != nil {
			yield(wire.LogLine{}, err)
			return
		}
		defer res.Body.Close()
		lines := bufio.NewScanner(res.Body)
		lines.Buffer(nil, 8<<20)
		for lines.Scan() {
			if len(lines.Bytes()) == 0 {
				continue
			}
			var line wire.LogLine
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
				yield(line, cove.Errorf(cove.CodeInternal, "a log line cannot be read: %w", err))
				return
			}
			if !yield(line, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil && ctx.Err() == nil {
			yield(wire.LogLine{}, c.unreachable(ctx, err))
		}
	}
}
