package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/driver/host"
)

const (
	// probeTime bounds a probe.
	probeTime = 4 * time.Second
	// overhead is what a container costs the host beside its function: the
	// process that Docker keeps for each, and the kernel's.
	overhead = 12 * cove.MiB
)

// Probe asks Docker for its version and settings and tries out the networking
// of this host. It makes no container.
func (d *Driver) Probe(ctx context.Context) driver.Report {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	report := driver.Report{Isolation: Isolation, Overhead: overhead}
	// Without root even asking Docker may fail, for a reason that is not the
	// first one to mend.
	if os.Geteuid() != 0 {
		report.Reason, report.Fix = "Cove mounts directories into sandboxes and so must run as root", "sudo cove serve"
		return report
	}
	if d.unusable != nil {
		report.Reason, report.Fix = d.unusable.Message, d.fix
		return report
	}
	version, err := d.api.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		report.Reason, report.Fix = d.whyAway(err)
		return report
	}
	report.Version = fmt.Sprintf("Docker %s, API %s", version.Version, d.api.ClientVersion())
	info, err := d.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		report.Reason, report.Fix = d.whyAway(err)
		return report
	}
	if info.Info.OSType != "linux" {
		report.Reason = "Docker's containers here are of " + info.Info.OSType + "; Cove's are of Linux"
		report.Fix = "switch Docker to Linux containers"
		return report
	}
	report.Notes = append(report.Notes, fmt.Sprintf("Docker keeps images and containers with %s and control groups (version %s) with %s.", info.Info.Driver, info.Info.CgroupVersion, info.Info.CgroupDriver))
	report.Notes = append(report.Notes, securityNotes(info.Info.SecurityOptions)...)
	report.Available = true
	report.Features = []driver.Feature{driver.FeatureMount, driver.FeatureResize, driver.FeaturePause}
	notes, err := host.ProbeNetwork(ctx, d.network)
	if err != nil {
		report.Notes = append(report.Notes, fmt.Sprintf("Functions cannot have network egress here: %v.", err))
		return report
	}
	report.Features = append(report.Features, driver.FeatureEgress)
	report.Notes = append(report.Notes, notes...)
	return report
}

func securityNotes(options []string) []string {
	all := strings.Join(options, " ")
	var notes []string
	if !strings.Contains(all, "name=seccomp") {
		notes = append(notes, "Docker has no seccomp here, so functions may make every system call.")
	}
	if strings.Contains(all, "name=rootless") {
		notes = append(notes, "Docker runs rootless; Cove is not tried with that.")
	}
	if strings.Contains(all, "name=userns") {
		notes = append(notes, "Docker maps user ids; Cove is not tried with that.")
	}
	return notes
}

// whyAway says why Docker does not answer and what mends it.
func (d *Driver) whyAway(err error) (reason, fix string) {
	at := d.api.DaemonHost()
	switch {
	case errors.Is(err, os.ErrPermission):
		return "Cove may not use the Docker daemon at " + at, "sudo cove serve"
	case errors.Is(err, context.DeadlineExceeded):
		return "the Docker daemon at " + at + " does not answer", "systemctl restart docker"
	case !client.IsErrConnectionFailed(err):
		return fmt.Sprintf("the Docker daemon at %s answers with an error: %v", at, err), ""
	}
	if _, err := exec.LookPath("dockerd"); err != nil {
		return "Docker is not installed", "apt-get install docker.io"
	}
	reason = "dockerd is not running: nothing answers at " + at
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		return reason, "systemctl start docker"
	}
	return reason, "dockerd &"
}
