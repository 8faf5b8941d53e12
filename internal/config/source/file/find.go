package file

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Stdin is the path that stands for standard input.
const Stdin = "-"

// found is what a search of the given paths came up with.
type found struct {
	files []string
	// dirs are the folders in which files can appear.
	dirs []string
	// folders are those of which every file with a fitting name is read.
	folders map[string]bool
	// targets are the paths as given, and what links lead to.
	targets map[string]bool
	// missing are given paths that are not there.
	missing []string
	errs    []pathError

	hasDir map[string]bool
	full   bool
}

// A search ends at these bounds: whoever gives "/" or a home folder is told so
// at once. Each folder is watched, which the system allows for thousands only.
const (
	maxDirs  = 10_000
	maxFiles = 200_000
)

type pathError struct {
	path string
	err  error
}

// find lists the files under the given paths in a fixed order: the paths as
// given, and within a folder by name. A file that was named is read whatever
// its name; in folders *.yaml, *.yml and *.json are, unless hidden or left by
// an editor.
func find(paths []string) found {
	f := found{folders: map[string]bool{}, targets: map[string]bool{}}
	seen := map[string]bool{}
	for _, path := range paths {
		if path == Stdin {
			f.add(seen, path)
			continue
		}
		path = filepath.Clean(path)
		f.targets[path] = true
		info, err := os.Stat(path)
		switch {
		case os.IsNotExist(err):
			f.missing = append(f.missing, path)
			f.addDir(filepath.Dir(path))
		case err != nil:
			f.errs = append(f.errs, pathError{path, err})
		case info.IsDir():
			if target, err := filepath.EvalSymlinks(path); err == nil && target != path {
				f.addDir(filepath.Dir(path)) // the link itself may be changed
			}
			if f.walk(path, seen, nil); f.full {
				f.errs = append(f.errs, pathError{path, fmt.Errorf(
					"more than %d folders or %d files: give the folder that holds the configuration", maxDirs, maxFiles,
				)})
				return f
			}
		default:
			f.add(seen, path)
			f.addDir(filepath.Dir(path))
			f.addTarget(path)
		}
	}
	return f
}

// addTarget adds the folder that a link leads to: writing there is no change
// of the folder that the link is in.
func (f *found) addTarget(path string) {
	if target, err := filepath.EvalSymlinks(path); err == nil && target != path {
		f.addDir(filepath.Dir(target))
		f.targets[target] = true
	}
}

// concerns tells whether what is written to a file can matter, though it may
// not have been there when files were looked for.
func (f *found) concerns(path string) bool {
	name := filepath.Base(path)
	return f.targets[path] || f.folders[filepath.Dir(path)] && isConfigName(name) && !isHidden(name)
}

func (f *found) add(seen map[string]bool, file string) {
	if !seen[file] {
		seen[file] = true
		f.files = append(f.files, file)
	}
}

func (f *found) addDir(dir string) {
	if f.hasDir[dir] {
		return
	}
	if f.hasDir == nil {
		f.hasDir = map[string]bool{}
	}
	f.hasDir[dir] = true
	f.dirs = append(f.dirs, dir)
}

// walk reads a folder. Symbolic links are followed: Kubernetes mounts
// ConfigMaps as links through a hidden folder, ..data. A folder that is its
// own ancestor through a link is left out, and so are pipes, sockets and
// devices: reading them could wait for ever.
func (f *found) walk(dir string, seen map[string]bool, ancestors []fs.FileInfo) {
	info, err := os.Stat(dir)
	if err != nil {
		f.errs = append(f.errs, pathError{dir, err})
		return
	}
	for _, a := range ancestors {
		if os.SameFile(a, info) {
			return
		}
	}
	f.addDir(dir)
	f.folders[dir] = true
	if f.full = f.full || len(f.dirs) > maxDirs || len(f.files) > maxFiles; f.full {
		return
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		f.errs = append(f.errs, pathError{dir, err})
		return
	}
	ancestors = append(slices.Clip(ancestors), info)
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if isHidden(e.Name()) {
			continue
		}
		mode := e.Type()
		if e.Type()&fs.ModeSymlink != 0 {
			target, err := os.Stat(path)
			if err != nil {
				continue // a dangling link is a file that is not there
			}
			mode = target.Mode()
			if mode.IsRegular() && isConfigName(e.Name()) {
				f.addTarget(path)
			}
		}
		switch {
		case mode.IsDir():
			if f.walk(path, seen, ancestors); f.full {
				return
			}
		case mode.IsRegular() && isConfigName(e.Name()):
			f.add(seen, path)
		}
	}
}

func isHidden(name string) bool { return strings.HasPrefix(name, ".") }

// isConfigName leaves out backups and temporary files of editors: name.yaml~,
// #name.yaml#, name.yaml.swp and the like do not end in a known suffix.
func isConfigName(name string) bool {
	if strings.HasPrefix(name, "#") || strings.HasPrefix(name, "~") {
		return false
	}
	switch strings.ToLower(filepath.Ext(name)) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

func (e pathError) Error() string { return fmt.Sprintf("%s: %v", e.path, e.err) }
