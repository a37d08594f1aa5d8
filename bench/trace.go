package main

import "context"

// trace names the command that replays a day of real traffic: it takes data that
// is not part of the source tree.
func trace(context.Context, *setting) ([]row, error) {
	return []row{
		{Name: "Azure Functions trace: geometric-mean slowdown / one process per function, always on", Least: 1.10, Aim: 1.02, Missing: "go run ./bench/trace"},
		{Name: "Azure Functions trace: p75 of the cold share at equal idle time / fixed 10 minutes", Least: 0.5, Aim: 0.25, Missing: "go run ./bench/trace"},
	}, nil
}
