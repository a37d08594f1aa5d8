// Package trace is a day of real traffic: what 1,000 functions of Azure Functions
// were called, minute by minute (README.md has the source, which is to be cited).
// It simulates the whole day with the decisions that the daemon takes, thousands
// of times faster than it was, and plans the replay of a part of it.
package trace

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/covefn/cove/internal/scale/sim"
)

// Source is what must be cited wherever figures of the day are told.
const Source = "Azure Functions Trace 2019, Microsoft, CC-BY 4.0 (Shahrad et al., Serverless in the Wild, USENIX ATC 2020), as sampled by vHive's InVitro loader"

//go:embed day.csv.gz
var day []byte

// The distributions of the paper: of the functions' mean run times, in seconds,
// log-normal, and of the applications' memory, in MB, Burr XII.
const (
	runMean, runSigma             = -0.38, 2.36
	memoryC, memoryK, memoryScale = 11.652, 0.221, 107.083
	longestRun                    = 10 * time.Minute // the platform's own limit
)

// Streams of random numbers that are drawn from a seed.
const (
	streamRunTimes = 1 + iota
	streamCalls
	streamReplay
)

// Functions are those of the day. The data does not have their run times and their
// memory, which are drawn from the distributions of the paper.
func Functions(seed uint64) ([]sim.Function, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(day))
	if err != nil {
		return nil, err
	}
	functions, err := parse(unzipped)
	if err != nil {
		return nil, err
	}
	random := rand.New(rand.NewPCG(seed, streamRunTimes))
	for i := range functions {
		f := &functions[i]
		took := math.Exp(runMean + runSigma*random.NormFloat64())
		f.Run = max(time.Millisecond, time.Duration(min(took, longestRun.Seconds())*float64(time.Second)))
		f.Memory = memoryScale * math.Pow(math.Pow(1-random.Float64(), -1/memoryK)-1, 1/memoryC)
	}
	return functions, nil
}

// parse reads a head line, and then a line for each function: the hashes of the
// function, its application and its owner, and the calls of each minute.
func parse(from io.Reader) ([]sim.Function, error) {
	lines, err := csv.NewReader(from).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(lines) < 2 || len(lines[0]) < 4 {
		return nil, errors.New("the data has no functions or no minutes")
	}
	functions := make([]sim.Function, 0, len(lines)-1)
	for i, line := range lines[1:] {
		// A function may be in the data twice.
		f := sim.Function{Name: fmt.Sprint(i, line[:3]), Minutes: make([]uint32, len(line)-3)}
		for m, field := range line[3:] {
			n, err := strconv.ParseUint(field, 10, 20)
			if err != nil {
				return nil, fmt.Errorf("line %d, minute %d: %w", i+2, m+1, err)
			}
			f.Minutes[m] = uint32(n)
		}
		functions = append(functions, f)
	}
	return functions, nil
}

// calls is how often f is called in the minutes [begin, end).
func calls(f sim.Function, begin, end int) (n int) {
	for _, c := range f.Minutes[begin:end] {
		n += int(c)
	}
	return n
}
