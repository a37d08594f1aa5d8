package docker_test

import (
	"strings"
	"testing"

	"github.com/covefn/cove/internal/driver/docker"
)

func TestProbeOfAnAddressThatCannotWork(t *testing.T) {
	t.Parallel()
	d, err := docker.New(docker.Options{Host: "tcp://192.0.2.1:2375", RunDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	if r := d.Probe(t.Context()); r.Available || !strings.Contains(r.Reason, "unix socket") || r.Fix != "unset DOCKER_HOST" {
		t.Errorf("report %+v", r)
	}
}
