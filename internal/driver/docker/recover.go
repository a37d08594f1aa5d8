package docker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/driver/host"
)

// recoverTime bounds the question to Docker what it has of an earlier daemon.
const recoverTime = 10 * time.Second

// Recover lists what an earlier daemon left behind under owner: containers, by
// their labels, and what is left on the host, by the boxes. Where no Docker
// daemon answers there may still be the latter, and that is no error: a host
// that has never had Docker has nothing to recover, and one whose Docker hangs
// must not keep Cove from starting.
func (d *Driver) Recover(ctx context.Context, owner string) ([]driver.Sandbox, error) {
	found := map[string]*sandbox{}
	get := func(id string) *sandbox {
		if found[id] == nil {
			found[id] = newSandbox(d, driver.Spec{ID: id, Owner: owner})
			found[id].mayExist, found[id].hasNetDir = true, true
		}
		return found[id]
	}
	if d.unusable != nil {
		return nil, nil
	}
	listCtx, cancel := context.WithTimeout(ctx, recoverTime)
	defer cancel()
	containers, err := d.api.ContainerList(listCtx, client.ContainerListOptions{
		All: true, Filters: client.Filters{}.Add("label", labelOwner+"="+owner),
	})
	switch {
	case err == nil:
		for _, c := range containers.Items {
			get(c.Labels[labelID])
		}
	case context.Cause(ctx) != nil:
		return nil, fmt.Errorf("list the containers of an earlier Cove: %w", context.Cause(ctx))
	case listCtx.Err() != nil:
		d.log.Warn("Docker does not answer; of an earlier Cove only what is on the host is cleaned up", "docker", d.api.DaemonHost())
	case client.IsErrConnectionFailed(err) && !errors.Is(err, os.ErrPermission):
		d.log.Debug("no Docker daemon to recover sandboxes from", "docker", d.api.DaemonHost(), "error", err)
	default:
		return nil, d.explain("list the containers of an earlier Cove", err)
	}
	boxes, err := host.RecoverBoxes(d.boxes())
	if err != nil {
		return nil, fmt.Errorf("find what an earlier Cove left: %w", err)
	}
	for _, b := range boxes {
		if id, ok := strings.CutPrefix(filepath.Base(b.Dir()), owner+"."); ok {
			get(id).box = b
		}
	}
	groups, err := d.cgroups.Recover(owner)
	if err != nil {
		return nil, fmt.Errorf("find what an earlier Cove left: %w", err)
	}
	// The groups of other drivers are among them; those are not this one's to touch.
	for _, g := range groups {
		if s := found[filepath.Base(g.Parent())]; s != nil {
			s.cgroup = g
		}
	}
	if len(found) > 0 {
		d.owners.Add(owner)
	}
	return list(found), nil
}

func list(found map[string]*sandbox) []driver.Sandbox {
	all := make([]driver.Sandbox, 0, len(found))
	for _, s := range found {
		s.conn, s.logs = closedConn(), []*logs{newLogs(closedConn()), newLogs(closedConn())}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b driver.Sandbox) int { return strings.Compare(a.ID(), b.ID()) })
	return all
}

// closedConn is the stream of a sandbox that nobody is connected to any more.
func closedConn() net.Conn {
	a, b := net.Pipe()
	_ = b.Close()
	return a
}
