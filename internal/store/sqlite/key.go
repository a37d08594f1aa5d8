package sqlite

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/covefn/cove"
)

// Key encrypts the values of environment variables. It is safe for concurrent
// use.
type Key struct{ aead cipher.AEAD }

const keySize = 32

// OpenKey reads the key in the file at path: 32 bytes in hexadecimal, readable
// by its owner only. Where there is no file and create is set, it makes one,
// which is on disk when it returns; otherwise the error is fs.ErrNotExist.
func OpenKey(path string, create bool) (*Key, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) && create {
		return createKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("open the key file: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, cove.Errorf(cove.CodeUnavailable, "the key file %s can be read by others than its owner: chmod 600 %s", path, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the key file: %w", err)
	}
	raw, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(raw) != keySize {
		return nil, cove.Errorf(cove.CodeUnavailable, "the key file %s is damaged (%d hexadecimal digits are expected): restore it from a backup", path, 2*keySize)
	}
	return newKey(raw)
}

func createKey(path string) (*Key, error) {
	raw := make([]byte, keySize)
	_, _ = rand.Read(raw) // It never fails.
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*")
	if err != nil {
		return nil, fmt.Errorf("make the key file: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := f.WriteString(hex.EncodeToString(raw) + "\n"); err != nil {
		return nil, fmt.Errorf("write the key file: %w", err)
	}
	if err := f.Sync(); err != nil {
		return nil, fmt.Errorf("write the key file to disk: %w", err)
	}
	// A link does not replace a file that is there, as a rename would.
	if err := os.Link(f.Name(), path); err != nil {
		return nil, fmt.Errorf("make the key file: %w", err)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("write the key file to disk: %w", err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return nil, fmt.Errorf("write the key file to disk: %w", err)
	}
	return newKey(raw)
}

func newKey(raw []byte) (*Key, error) {
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &Key{aead: aead}, nil
}

// seal encrypts plain so that it can be opened for owner only.
func (k *Key) seal(plain []byte, owner string) []byte {
	return k.aead.Seal(nil, nil, plain, []byte(owner))
}

func (k *Key) open(sealed []byte, owner string) ([]byte, error) {
	return k.aead.Open(nil, nil, sealed, []byte(owner))
}
