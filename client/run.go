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
// with the error of loading it. The handler is not called. A token that may call
// the function may ask for this.
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
	// Text is a part of the line, in capitals or not.
	Text string
	// Level is the least level: debug, info, warn, error.
	Level string
	// Stream is stdout, stderr, or platform for the lines of Cove itself.
	Stream string
	// From and To bound the time: RFC 3339, or a time ago such as "-1h".
	From, To string
}

func (q LogQuery) values() url.Values {
	v := url.Values{"tail": {strconv.Itoa(q.Tail)}}
	for name, value := range map[string]string{
		"request_id": q.RequestID, "q": q.Text, "level": q.Level, "stream": q.Stream, "from": q.From, "to": q.To,
	} {
		if value != "" {
			v.Set(name, value)
		}
	}
	return v
}

// logsPath is where the log of a function is, that of all functions if name is "".
func logsPath(name string) string {
	if name == "" {
		return "/logs"
	}
	return functionPath(name, "/logs")
}

// Logs are the latest lines of a function's log that q chooses, the oldest first;
// those of all functions if name is "". It looks as far back as it must, and may.
func (c *Client) Logs(ctx context.Context, name string, q LogQuery) ([]wire.LogLine, error) {
	var lines []wire.LogLine
	values := q.values()
	for {
		var page wire.LogList
		if err := c.get(ctx, logsPath(name), values, &page); err != nil {
			return nil, err
		}
		lines = append(page.Items, lines...)
		left := q.Tail - len(lines)
		if page.Next == "" || left <= 0 {
			return lines, nil
		}
		values.Set("before", page.Next)
		values.Set("tail", strconv.Itoa(left))
	}
}

// FollowLogs yields the latest lines that q chooses and then every new one, until
// ctx ends or the server does; of all functions if name is "". A line of the
// platform with id 0 says that lines were missed. An error comes last.
func (c *Client) FollowLogs(ctx context.Context, name string, q LogQuery) iter.Seq2[wire.LogLine, error] {
	return func(yield func(wire.LogLine, error) bool) {
		query := q.values()
		query.Set("follow", "true")
		res, err := c.open(ctx, call{method: http.MethodGet, path: logsPath(name), query: query})
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
