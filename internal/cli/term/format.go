package term

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/goccy/go-yaml"
)

// Format is what -o asks for.
type Format string

const (
	TableFormat Format = "table"
	JSON        Format = "json"
	YAML        Format = "yaml"
)

// String, Set and Type make a Format a pflag.Value.
func (f *Format) String() string { return string(*f) }

// Set refuses formats that are not in the list.
func (f *Format) Set(s string) error {
	switch Format(s) {
	case TableFormat, JSON, YAML:
		*f = Format(s)
		return nil
	}
	return fmt.Errorf("must be table, json or yaml, not %q", s)
}

// Type names the value in help texts.
func (f *Format) Type() string { return "table|json|yaml" }

// Write prints v as JSON or YAML by its json tags, in the order of its fields.
func (f Format) Write(w io.Writer, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	out := b.Bytes()
	if f == YAML {
		var err error
		if out, err = yaml.JSONToYAML(out); err != nil {
			return err
		}
	}
	_, err := w.Write(append(bytes.TrimRight(out, "\n"), '\n'))
	return err
}
