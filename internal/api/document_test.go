package api_test

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/covefn/cove/internal/api"
)

var update = flag.Bool("update", false, "write docs/openapi.yaml")

func TestTheCommittedDocumentIsTheGeneratedOne(t *testing.T) {
	t.Parallel()
	const path = "../../docs/openapi.yaml"
	got := api.Document()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("docs/openapi.yaml differs from the code (%v); run: go test ./internal/api -update", err)
	}
}
