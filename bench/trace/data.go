package main

import (
	"bytes"
	"cmp"
	"compress/gzip"
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/covefn/cove/internal/scale/sim"
)

// sample is 100 of the 1,000 functions; see testdata/README.md.
//
//go:embed testdata/sample.csv.gz
var sample []byte

// function is a row of the data: who it is, and how many requests came in each
// minute.
type function struct {
	id      []string // hashes of the function, its application and its owner
	minutes []uint32
	total   int
}

// dataFile is the file's name in the directory.
const dataFile = "invocations_per_minute.csv"

// read reads the data in dir, or the sample if that is empty.
func read(dir string) ([]function, error) {
	if dir == "" {
		unzipped, err := gzip.NewReader(bytes.NewReader(sample))
		if err != nil {
			return nil, err
		}
		return parseCSV(unzipped)
	}
	f, err := os.Open(filepath.Join(dir, dataFile))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseCSV(f)
}

// parseCSV reads a head line and then a line for each function.
func parseCSV(from io.Reader) ([]function, error) {
	lines, err := csv.NewReader(from).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(lines) < 2 || len(lines[0]) < 4 {
		return nil, errors.New("the data has no functions or no minutes")
	}
	functions := make([]function, 0, len(lines)-1)
	for i, line := range lines[1:] {
		f := function{id: line[:3], minutes: make([]uint32, len(line)-3)}
		for m, field := range line[3:] {
			n, err := strconv.ParseUint(field, 10, 20)
			if err != nil {
				return nil, fmt.Errorf("line %d, minute %d: %w", i+2, m+1, err)
			}
			f.minutes[m] = uint32(n)
			f.total += int(n)
		}
		functions = append(functions, f)
	}
	return functions, nil
}

// writeSample writes n functions in the same form, gzipped: in the order of how
// often they are called, one from the middle of each of n equal parts.
func writeSample(out io.Writer, all []function, n int) error {
	ordered := slices.Clone(all)
	slices.SortStableFunc(ordered, func(a, b function) int { return cmp.Compare(a.total, b.total) })
	zipped, err := gzip.NewWriterLevel(out, gzip.BestCompression)
	if err != nil {
		return err
	}
	w := csv.NewWriter(zipped)
	head := []string{"HashFunction", "HashApp", "HashOwner"}
	for m := range all[0].minutes {
		head = append(head, fmt.Sprintf("minute_%d", m+1))
	}
	lines := [][]string{head}
	for i := range min(n, len(ordered)) {
		f := ordered[(2*i+1)*len(ordered)/(2*n)]
		line := slices.Clone(f.id)
		for _, c := range f.minutes {
			line = append(line, strconv.Itoa(int(c)))
		}
		lines = append(lines, line)
	}
	if err := w.WriteAll(lines); err != nil {
		return err
	}
	return zipped.Close()
}

// The distributions of the paper: of the functions' mean run times, in seconds,
// log-normal, and of the applications' memory, in MB, Burr XII.
const (
	runMean, runSigma                = -0.38, 2.36
	memoryC, memoryK, memoryScale    = 11.652, 0.221, 107.083
	longestRun                       = 10 * time.Minute // the platform's own limit
	seedOfRunTimes, seedOfTheirCalls = 1, 2
)

// modelled gives each function a run time and a memory size, which the data does
// not have.
func modelled(rows []function, seed uint64) []sim.Function {
	random := rand.New(rand.NewPCG(seed, seedOfRunTimes))
	functions := make([]sim.Function, len(rows))
	for i, row := range rows {
		took := math.Exp(runMean + runSigma*random.NormFloat64())
		functions[i] = sim.Function{
			// A function may be in the data twice.
			Name: fmt.Sprint(i, row.id), Minutes: row.minutes,
			Run:    max(time.Millisecond, time.Duration(min(took, longestRun.Seconds())*float64(time.Second))),
			Memory: memoryScale * math.Pow(math.Pow(1-random.Float64(), -1/memoryK)-1, 1/memoryC),
		}
	}
	return functions
}
