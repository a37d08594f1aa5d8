package auth

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// adminName is the name of the token that EnsureAdmin makes.
const adminName = "made at first start"

// EnsureAdmin sees to it that somebody can administer this Cove. Where there is
// no valid admin token and no user of that role, as at the first start, it makes a token, writes it to the
// file at path, readable by its owner only, and returns made.
//
// An empty file at path asks for a new token: it is made, and the one made so
// before is worthless from then on. This is the way back for who has lost it.
// A file that was removed asks for nothing, because whoever has put the token
// in a safe place does well to remove it; note then says how to get another.
func (s *Service) EnsureAdmin(ctx context.Context, path string) (made bool, note string, err error) {
	s.changes.Lock()
	defer s.changes.Unlock()
	text, err := os.ReadFile(path)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return false, "", fmt.Errorf("read the admin token: %w", err)
	}
	content := strings.TrimSpace(string(text))
	asked := !missing && content == ""
	if s.admins("", "") == 0 || asked {
		return true, "", s.replaceAdmin(ctx, path)
	}
	if missing {
		return false, fmt.Sprintf("there is no file %s, but there are tokens or users of role admin; if all of them are lost, "+
			"make it as an empty file and start again for a new one", path), nil
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return false, "", fmt.Errorf("protect the admin token: %w", err)
	}
	if t, _ := s.Verify(content); !IsAdmin(t) {
		note = fmt.Sprintf("the token in %s is not valid any more; empty the file and start again for a new one", path)
	}
	return false, note, nil
}

// replaceAdmin makes an admin token, and deletes the one it made before. The
// file is written first: if the daemon dies in between, the next start finds no
// such token and does it again, while the other way round would leave a token
// that nobody knows.
func (s *Service) replaceAdmin(ctx context.Context, path string) error {
	secret, t := s.make(adminName, RoleAdmin, nil, time.Time{})
	if err := writeSecret(path, secret+"\n"); err != nil {
		return fmt.Errorf("write the admin token: %w", err)
	}
	if err := s.add(ctx, t); err != nil {
		return err
	}
	for _, old := range s.list() {
		if old.Name != adminName || old.ID == t.ID {
			continue
		}
		if err := s.remove(ctx, old.ID); err != nil {
			return err
		}
	}
	return nil
}

// writeSecret replaces the file at path in one step; no other user can read it
// at any moment.
func writeSecret(path, content string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".token-*") // 0600 and O_EXCL.
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := f.WriteString(content); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
