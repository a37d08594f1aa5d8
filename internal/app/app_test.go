package app_test

import (
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/covefn/cove/internal/app"
	"github.com/covefn/cove/internal/config"
)

func TestADaemonWhoseIsolationIsNotKnownIsRefused(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
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
	again, err := net.Listen("tcp", gateway)
	if err != nil {
		t.Fatalf("the address is still taken: %v", err)
	}
	_ = again.Close()
}
