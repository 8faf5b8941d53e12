package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// TestGeneratedFilesAreCurrent compares what is committed with what gen writes.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	root := filepath.Join("..", "..")
	files, err := outputs(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 4 {
		t.Errorf("only %d files are generated", len(files))
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s is not current: run \"go run ./internal/gen\"", name)
		}
	}
}

// TestJSONSchemaReferences: every $ref of the JSON Schema leads somewhere.
func TestJSONSchemaReferences(t *testing.T) {
	kinds, err := loadKinds(t.Context(), filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	data, err := jsonSchema(kinds)
	if err != nil {
		t.Fatal(err)
	}
	var root object
	if err := json.Unmarshal(data, &root); err != nil {
		t.Fatal(err)
	}
	defs := root["$defs"].(object)
	refs := 0
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case object:
			if ref, ok := v["$ref"].(string); ok {
				refs++
				if defs[ref[len("#/$defs/"):]] == nil {
					t.Errorf("%s leads nowhere", ref)
				}
			}
			for _, e := range v {
				walk(e)
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(root)
	if refs == 0 {
		t.Error("no references: the schema is not shared")
	}
}
