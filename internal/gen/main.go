// Command gen makes what follows from the kinds that Gridway takes: the schema
// bundle that internal/config/schema embeds, the JSON Schema for editors under
// docs/schema (which is embedded too, for the console's), and the reference pages of Gridway's own kinds under
// docs/reference. Its inputs are the CRD manifests of the Gateway API module,
// those under deploy/crds (which controller-gen makes from api/v1alpha1), and
// the Go types of the core kinds.
//
// Run it by "make generate" or "go run ./internal/gen" at the root of the
// repository; a test compares what is committed with what it would write.
package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

func main() {
	if err := run(context.Background(), "."); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, root string) error {
	files, err := outputs(ctx, root)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, files[name], 0o644); err != nil {
			return err
		}
	}
	return nil
}

// outputs makes every generated file, by its path from the root.
func outputs(ctx context.Context, root string) (map[string][]byte, error) {
	kinds, err := loadKinds(ctx, root)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	if files["internal/config/schema/bundle.json.gz"], err = bundle(kinds); err != nil {
		return nil, err
	}
	if files["docs/schema/gridway.json"], err = jsonSchema(kinds); err != nil {
		return nil, err
	}
	if files["internal/config/schema/jsonschema.json.gz"], err = packed(files["docs/schema/gridway.json"]); err != nil {
		return nil, err
	}
	for _, k := range kinds {
		if k.own() {
			files["docs/reference/"+k.page()] = reference(k)
		}
	}
	return files, nil
}
