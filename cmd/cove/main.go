// Command cove is the daemon and the command line of the Cove function platform.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/covefn/cove/internal/app"
	"github.com/covefn/cove/internal/cli"
	"github.com/covefn/cove/internal/config"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the program at once. One that comes with the first is
	// none: a terminal and the program that started this one both send it.
	context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, stop) })
	code := cli.Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, cli.Backend{
		Version: version(),
		Serve: func(ctx context.Context, cfg config.Config) error {
			// Without this the daemon would be killed, with all its sandboxes left
			// behind, by a line of its log that nobody reads any more. Ignoring the
			// signal instead would be passed on to every program that it starts.
			signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
			return app.Run(ctx, cfg, version(), os.Stderr)
		},
		Doctor: app.Doctor,
	})
	stop()
	os.Exit(code)
}

// version is that of the module, as the go command recorded it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
