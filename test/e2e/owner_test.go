package e2e

import (
	"os"
	"path/filepath"
	"strings"
)

// owner is the name that the installation of this data directory gives to what
// it makes on the host.
func (h *harness) owner() string {
	data, err := os.ReadFile(filepath.Join(h.Data, "owner"))
	if err != nil {
		// No daemon came so far that it could have made anything.
		return "none"
	}
	return strings.TrimSpace(string(data))
}
