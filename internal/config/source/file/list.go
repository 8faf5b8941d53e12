package file

import (
	"errors"
	"fmt"
)

// List is the files under the given paths, in the order in which they are read as
// configuration: what is named, and of folders *.yaml, *.yml and *.json, with those in
// folders beneath. Stdin stands for itself. Paths that are not there, and folders without
// any such file, are an error.
func List(paths []string) ([]string, error) {
	var out []string
	for _, path := range paths {
		f := find([]string{path})
		var errs []error
		for _, name := range f.missing {
			errs = append(errs, missingError(name))
		}
		for _, e := range f.errs {
			errs = append(errs, e)
		}
		switch {
		case len(errs) > 0:
			return nil, errors.Join(errs...)
		case len(f.files) == 0:
			return nil, fmt.Errorf("%s: the folder has no file that ends with .yaml, .yml or .json", path)
		}
		out = append(out, f.files...)
	}
	return out, nil
}
