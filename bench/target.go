package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/bench"
)

// payload is what every arm is sent and must answer.
const payload = "The quick brown fox jumps over the lazy dog."

// target is an HTTP server that answers the payload: a bare one, or a function
// behind the gateway. The client is the same for both: it keeps connections,
// sends a request that was written once, and reads the answer with as little work
// as can be, so that on a machine that it shares with the servers it takes little
// from them. It is safe for concurrent use.
type target struct {
	address string
	// head is a request's, but for the length of its body; request is a whole one
	// with the payload.
	head, request []byte
	// idle are the connections that wait for the next call.
	idle chan *connection

	// process is that of a bare server.
	process *process
	// function and daemon are set for one behind the gateway.
	function string
	daemon   *daemon
}

// connection is one to a target.
type connection struct {
	net.Conn
	r    *bufio.Reader
	body []byte
}

func newTarget(address, path, token string) *target {
	head := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: text/plain\r\n", path, address)
	if token != "" {
		head = fmt.Appendf(head, "Authorization: Bearer %s\r\n", token)
	}
	t := &target{address: address, head: head, idle: make(chan *connection, 4096)}
	t.request = t.with(payload)
	return t
}

// with is a request with a body.
func (t *target) with(body string) []byte {
	return fmt.Appendf(slices.Clone(t.head), "Content-Length: %d\r\n\r\n%s", len(body), body)
}

// close closes the connections that wait.
func (t *target) close() error {
	for {
		select {
		case c := <-t.idle:
			_ = c.Close()
		default:
			return nil
		}
	}
}

// connection is one that waits, or a new one.
func (t *target) connection(ctx context.Context) (*connection, error) {
	select {
	case c := <-t.idle:
		return c, nil
	default:
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", t.address)
	if err != nil {
		return nil, err
	}
	return &connection{Conn: c, r: bufio.NewReader(c)}, nil
}

// post makes one call, checks the answer, and returns the request id.
func (t *target) post(ctx context.Context) (id string, err error) {
	return t.exchange(ctx, t.request, payload)
}

// exchange sends a request and checks that want is the answer.
func (t *target) exchange(ctx context.Context, request []byte, want string) (id string, err error) {
	c, err := t.connection(ctx)
	if err != nil {
		return "", err
	}
	id, err = c.exchange(request, want)
	if err != nil {
		_ = c.Close()
		return "", fmt.Errorf("%s: %w", t.address, err)
	}
	select {
	case t.idle <- c:
	default:
		_ = c.Close()
	}
	return id, nil
}

func (c *connection) exchange(request []byte, want string) (id string, err error) {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if _, err := c.Write(request); err != nil {
		return "", err
	}
	status, length := "", -1
	for first := true; ; first = false {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return "", err
		}
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case first:
			status = string(line)
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return "", err
			}
		case bytes.EqualFold(name, []byte("X-Request-Id")):
			id = string(bytes.TrimSpace(value))
		}
	}
	if length < 0 || length > 1<<20 {
		return "", errors.New("the answer has no length: " + status)
	}
	if cap(c.body) < length {
		c.body = make([]byte, length)
	}
	body := c.body[:length]
	if _, err := io.ReadFull(c.r, body); err != nil {
		return "", err
	}
	if string(body) != want {
		return "", fmt.Errorf("answered %q: %.300q", status, body)
	}
	return id, nil
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
	class, err := t.daemon.class(ctx, id)
	if err == nil && class != want {
		err = fmt.Errorf("the call was to be %s and was %s", want, class)
	}
	return bench.Sample{Took: took, Start: class}, err
}
