package main

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client"
)

// handler is the function that both arms run.
const handler = `import time

def handler(event, context):
    time.sleep(float(event["body"]))
    return {"statusCode": 200, "body": "slept " + event["body"]}
`

// server is a process that is always on: the language's own HTTP server around
// the same handler. It writes its answer in one piece, so that it never waits
// for a delayed acknowledgement.
//
//go:embed server.py
var server string

// python is the interpreter of the operating system; one on PATH may be the
// shell script of a version manager.
const python = "/usr/bin/python3"

// startBare starts n processes and returns their addresses. stop ends them; it
// is never nil.
func startBare(ctx context.Context, n int) (urls []string, stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	var started []*exec.Cmd
	stop = func() {
		cancel()
		for _, c := range started {
			_ = c.Wait() // It was killed.
		}
	}
	for range n {
		c := exec.CommandContext(ctx, python, "-c", handler+server)
		out, err := c.StdoutPipe()
		if err != nil {
			return nil, stop, err
		}
		if err := c.Start(); err != nil {
			return nil, stop, err
		}
		started = append(started, c)
		port, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			return nil, stop, fmt.Errorf("the server process did not tell its port: %w", err)
		}
		urls = append(urls, "http://127.0.0.1:"+strings.TrimSpace(port)+"/")
	}
	return urls, stop, nil
}

// deploy makes n functions and returns their addresses. remove deletes them
// again; it is never nil. The idle time is compressed like the day.
func deploy(ctx context.Context, o liveOptions, n int) (urls []string, remove func(), err error) {
	api, err := client.New(o.api, o.token)
	if err != nil {
		return nil, func() {}, err
	}
	var names []string
	remove = func() {
		// Also after an interrupt.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		for _, name := range names {
			if err := api.Delete(ctx, name, 0); err != nil {
				fmt.Printf("deleting %s: %v\n", name, err)
			}
		}
		api.Close()
	}
	var code bytes.Buffer
	z := zip.NewWriter(&code)
	f, err := z.Create("main.py")
	if err == nil {
		_, err = f.Write([]byte(handler))
	}
	if err := errors.Join(err, z.Close()); err != nil {
		return nil, remove, err
	}
	idle := max(time.Second, time.Duration(float64(10*time.Minute)*o.length.Seconds()/o.span.Seconds()))
	for i := range n {
		name := fmt.Sprintf("trace-replay-%d", i)
		_, err := api.Create(ctx, cove.Config{
			Name: name, Runtime: "python", Route: "/" + name, Isolation: o.isolation, Memory: 64 * cove.MiB,
			Scaling: cove.Scaling{Max: 20, Queue: 100, Idle: cove.Duration(idle)},
		}, &client.Archive{Reader: bytes.NewReader(code.Bytes()), Format: "zip"})
		if err != nil {
			return nil, remove, fmt.Errorf("deploying %s: %w", name, err)
		}
		names = append(names, name)
		urls = append(urls, strings.TrimSuffix(o.gateway, "/")+"/"+name)
	}
	return urls, remove, nil
}
