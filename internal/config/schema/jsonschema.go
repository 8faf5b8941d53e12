package schema

import _ "embed" // for the JSON Schema

//go:embed jsonschema.json.gz
var jsonSchema []byte

// JSON is the JSON Schema (draft 2020-12) of any object that Gridway reads, that of
// docs/schema, without white space and compressed by gzip. It is not to be changed.
func JSON() []byte { return jsonSchema }
