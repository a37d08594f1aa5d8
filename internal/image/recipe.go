package image

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/covefn/cove"
	"github.com/covefn/cove/images"
)

// Recipe says how an image is built on this host, without a registry.
type Recipe struct {
	// Name is the image's name.
	Name string `yaml:"name"`
	// Description is one line for people.
	Description string `yaml:"description"`
	// Debian is the base: packages of Debian.
	Debian Debian `yaml:"debian"`
	// NPM are files of npm packages, put on top.
	NPM []NPM `yaml:"npm"`
	// Env is the image's environment; a function's own is added to it.
	Env map[string]string `yaml:"env"`

	// digest is the SHA-256 of the recipe's text in hexadecimal.
	digest string
}

// Debian is a root file system made of Debian's packages by mmdebstrap.
type Debian struct {
	// Suite is the release's code name: "trixie".
	Suite string `yaml:"suite"`
	// Variant is mmdebstrap's; "" is "essential": what every package may rely
	// on, and no package manager.
	Variant string `yaml:"variant"`
	// Sources are lines of apt's sources.list; none leaves them to mmdebstrap.
	Sources []string `yaml:"sources"`
	// Packages are installed with all they need.
	Packages []string `yaml:"packages"`
	// Run are shell commands, run inside as root when all is installed.
	Run []string `yaml:"run"`
	// Remove are shell patterns of paths, relative to the root, removed at last.
	Remove []string `yaml:"remove"`
}

// NPM is one npm package of which files are taken.
type NPM struct {
	Package string `yaml:"package"`
	Version string `yaml:"version"`
	// Arch is the only processor it runs on, in Go's words; "" is every one.
	Arch string `yaml:"arch"`
	// Integrity is the archive's digest as in npm's lock files: "sha512-...".
	Integrity string `yaml:"integrity"`
	// Files maps a path in the package's archive to one in the image.
	Files map[string]string `yaml:"files"`
}

// ParseRecipe reads a recipe's YAML text.
func ParseRecipe(text []byte) (Recipe, error) {
	var r Recipe
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&r); err != nil {
		return Recipe{}, cove.Errorf(cove.CodeInvalid, "the recipe cannot be read: %w", err)
	}
	sum := sha256.Sum256(text)
	r.digest = hex.EncodeToString(sum[:])
	return r, r.check()
}

// Recipes are those that Cove brings along, by name.
func Recipes() ([]Recipe, error) {
	files, err := fs.Glob(images.Recipes, "*.yaml")
	if err != nil {
		return nil, err
	}
	recipes := make([]Recipe, 0, len(files))
	for _, file := range files {
		text, err := images.Recipes.ReadFile(file)
		if err != nil {
			return nil, err
		}
		r, err := ParseRecipe(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		recipes = append(recipes, r)
	}
	slices.SortFunc(recipes, func(a, b Recipe) int { return strings.Compare(a.Name, b.Name) })
	return recipes, nil
}

// FindRecipe is the recipe that Cove brings along under name. If there is none
// the error is CodeNotFound and names those there are.
func FindRecipe(name string) (Recipe, error) {
	recipes, err := Recipes()
	if err != nil {
		return Recipe{}, err
	}
	names := make([]string, 0, len(recipes))
	for _, r := range recipes {
		if r.Name == name {
			return r, nil
		}
		names = append(names, r.Name)
	}
	return Recipe{}, cove.Errorf(cove.CodeNotFound,
		"there is no recipe for an image %q (there are: %s); `cove image pull %s REFERENCE` takes one from a registry",
		name, strings.Join(names, ", "), name)
}

// Digest is the SHA-256 of the recipe's text in hexadecimal. An image built of
// the same text carries it as Image.Recipe.
func (r Recipe) Digest() string { return r.digest }

// namePattern keeps a name fit for a directory and for a part of a reference.
var namePattern = regexp.MustCompile(`^[a-z0-9]+([._-][a-z0-9]+)*$`)

func checkName(name string) error {
	if len(name) > 63 || !namePattern.MatchString(name) {
		return cove.Invalid("name", "%q is no name for an image: use 1 to 63 of a-z and 0-9, with single '.', '_' or '-' between them", name)
	}
	return nil
}

func (r Recipe) check() error {
	if err := checkName(r.Name); err != nil {
		return err
	}
	if r.Debian.Suite == "" {
		return cove.Invalid("debian.suite", "is missing")
	}
	for _, pattern := range r.Debian.Remove {
		if path.IsAbs(pattern) || slices.Contains(strings.Split(pattern, "/"), "..") {
			return cove.Invalid("debian.remove", "%q must be relative to the root and must not leave it", pattern)
		}
	}
	for _, p := range r.NPM {
		if p.Package == "" || p.Version == "" || !strings.HasPrefix(p.Integrity, "sha512-") {
			return cove.Invalid("npm", "needs package, version and integrity (\"sha512-...\")")
		}
	}
	return nil
}

// buildable says whether the recipe suits this machine's processor.
func (r Recipe) buildable() error {
	for _, p := range r.NPM {
		if p.Arch != "" && p.Arch != runtime.GOARCH {
			return cove.Errorf(cove.CodeUnavailable,
				"the recipe of %s is for %s and this machine is %s; `cove image pull %s REFERENCE` takes an image from a registry",
				r.Name, p.Arch, runtime.GOARCH, r.Name)
		}
	}
	return nil
}
