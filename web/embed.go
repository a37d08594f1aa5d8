// Package web holds the console: a page that is built from the sources beside
// this file into dist, and the handler that serves it.
package web

import (
	"embed"
	"io/fs"
)

// dist holds at least placeholder.html, so that Go builds where npm never ran.
//
//go:embed all:dist
var dist embed.FS

// Files are what was built: index.html, compressed files with their hash in the
// name beneath assets, and placeholder.html, which is shown where nothing was
// built.
func Files() fs.FS {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic("web: " + err.Error()) // Only for a name that is no path.
	}
	return files
}
