// Trace tries Cove's scaling on real traffic: a day of Azure Functions.
//
// Without -live it simulates the whole day, thousands of times faster than it
// was, with the very decisions that the daemon takes, and compares the adaptive
// policy with a fixed keep-alive that idles for as long, all instances taken
// together:
//
//	go run ./bench/trace              # the sample of 100 functions beside it
//	go run ./bench/trace -data DIR    # invocations_per_minute.csv of all
//
// With -live it replays a part of the day, compressed, against a running Cove and
// against one process for each function that is always on:
//
//	go run ./bench/trace -live http://127.0.0.1:7070
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"
)

// options are the flags.
type options struct {
	data, json string
	seed       uint64
	sample     int
	keep       time.Duration
	live       liveOptions
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "trace:", err)
		}
		stop()
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("trace", flag.ContinueOnError)
	f.StringVar(&o.data, "data", "", "directory with invocations_per_minute.csv; the sample of 100 functions by default")
	f.StringVar(&o.json, "json", "", "also write the result as JSON to this file")
	f.Uint64Var(&o.seed, "seed", 1, "seed of all random numbers")
	f.IntVar(&o.sample, "sample", 0, "write a gzipped sample of so many functions to the standard output, and do nothing else")
	f.DurationVar(&o.keep, "keep", 10*time.Minute, "the fixed keep-alive to compare with")
	f.StringVar(&o.live.api, "live", "", "address of a running Cove's API: replay against it")
	f.StringVar(&o.live.gateway, "gateway", "http://127.0.0.1:8080", "address of its gateway")
	f.StringVar(&o.live.token, "token", os.Getenv("COVE_TOKEN"), "token for the API")
	f.StringVar(&o.live.isolation, "isolation", "", "isolation of the functions; the server's default by default")
	f.IntVar(&o.live.functions, "functions", 20, "how many functions to replay")
	f.DurationVar(&o.live.length, "for", 2*time.Minute, "how long the replay may take")
	f.DurationVar(&o.live.span, "span", 20*time.Minute, "how much of the day is replayed in that time")
	f.DurationVar(&o.live.clip, "clip", time.Second, "the longest a call sleeps")
	f.Float64Var(&o.live.rate, "rate", 40, "the most calls in a second, on average")
	err := f.Parse(args)
	o.live.seed = o.seed
	return o, err
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	rows, err := read(o.data)
	if err != nil {
		return err
	}
	if o.sample > 0 {
		return writeSample(out, rows, o.sample)
	}
	var result any
	if o.live.api != "" {
		result, err = replay(ctx, o.live, rows, out)
	} else {
		result, err = simulate(ctx, rows, o.seed, o.keep, out)
	}
	if err != nil || o.json == "" {
		return err
	}
	text, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(o.json, append(text, '\n'), 0o644)
}
