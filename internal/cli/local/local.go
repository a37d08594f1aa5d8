// Package local is the note that `cove serve` leaves for the other commands of
// the same user on the same machine: where the control API is, and which file
// holds a token for it.
package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
)

// Server is where a daemon can be reached.
type Server struct {
	// API is the base URL of the control API.
	API string `json:"api"`
	// TokenFile is the path of the file with the token, never the token itself.
	TokenFile string `json:"token_file"`
	// PID is the daemon's process, so that it removes its own note only.
	PID int `json:"pid"`
}

// Path is where the note of the current user lies.
func Path() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		// A service manager may start the daemon without HOME.
		u, userErr := user.Current()
		if userErr != nil || u.HomeDir == "" {
			return "", fmt.Errorf("find the user's directory: %w", err)
		}
		dir = filepath.Join(u.HomeDir, ".config")
	}
	return filepath.Join(dir, "cove", "server.json"), nil
}

// Leave writes the note for the current user, readable by nobody else, in place
// of any earlier one: api is the control API's base URL, tokenFile the absolute
// path of the file with a token for it. forget takes the note away again, unless
// another daemon has replaced it meanwhile.
func Leave(api, tokenFile string) (forget func(), err error) {
	path, err := Path()
	if err != nil {
		return nil, err
	}
	s := Server{API: api, TokenFile: tokenFile, PID: os.Getpid()}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".server-*") // 0600.
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(data, '\n'))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return nil, err
	}
	return func() {
		if now, err := Read(); err == nil && now.PID == s.PID {
			_ = os.Remove(path)
		}
	}, nil
}

// Read is the note of the current user's daemon; fs.ErrNotExist if there is
// none. A daemon that was killed leaves its note behind.
func Read() (Server, error) {
	path, err := Path()
	if err != nil {
		return Server{}, fs.ErrNotExist
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return Server{}, err
	}
	var s Server
	if err := json.Unmarshal(data, &s); err != nil {
		return Server{}, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}
