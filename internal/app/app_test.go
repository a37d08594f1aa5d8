package app_test

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/covefn/cove/internal/app"
	"github.com/covefn/cove/internal/config"
)

func TestADaemonWhoseIsolationIsNotKnownIsRefused(t *testing.T) {
	t.Parallel()
	// An address that nothing else here listens at, so that no other test is given
	// the port meanwhile.
	l, err := net.Listen("tcp", "127.81.12.5:0")
	if err != nil {
		t.Fatal(err)
	}
	gateway := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cfg := config.Config{Data: dir, Images: dir + "/images", Gateway: gateway, API: "127.0.0.1:0", Isolation: "gvisr"}
	_, err = app.New(t.Context(), cfg, slog.New(slog.DiscardHandler), "test")
	if err == nil || !strings.Contains(err.Error(), `"gvisr" is not known; there are gvisor, runc, docker`) {
		t.Errorf("got %v", err)
	}
	// A child that is being forked has the descriptor for a moment.
	for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		again, err := net.Listen("tcp", gateway)
		if err == nil {
			_ = again.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the address is still taken: %v", err)
		}
	}
}

func TestADataDirectoryThatIsOpenKeepsSandboxesClosed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start := func() error {
		// The isolation is not known, so that nothing more is started.
		cfg := config.Config{Data: dir, Images: dir + "/images", Gateway: "127.0.0.1:0", API: "127.0.0.1:0", Isolation: "none"}
		_, err := app.New(t.Context(), cfg, slog.New(slog.DiscardHandler), "test")
		return err
	}
	if err := errors.Join(os.Mkdir(dir+"/run", 0o711), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	if err := start(); err == nil || !strings.Contains(err.Error(), "is not known") {
		t.Fatalf("got %v", err)
	}
	info, err := os.Stat(dir + "/run")
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o700 {
		t.Errorf("the directory of sandboxes has the mode %v", got)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := start(); err == nil || !strings.Contains(err.Error(), "chmod 700 "+dir) {
		t.Errorf("a directory that everybody can write: %v", err)
	}
}
