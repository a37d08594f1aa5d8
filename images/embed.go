// Package images holds the recipes of the runtime images that Cove can build
// itself. What a recipe may say is described in internal/image.
package images

import "embed"

// Recipes holds one file per image, "NAME.yaml".
//
//go:embed *.yaml
var Recipes embed.FS
