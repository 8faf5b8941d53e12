package adminapi

import (
	"bytes"
	"encoding/json"
	"reflect"

	"github.com/goccy/go-yaml"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/manage/objects"
)

// hiddenChanged stands for a value that is another one than before.
const hiddenChanged = "(hidden, changed)"

// Conceal hides the credentials in both texts of a change, by their values, and lets it
// be seen which have changed. Texts without a value are left as they are, those without
// a credential too, comments and all; others are written anew, without comments.
func Conceal(c *objects.ObjectChange) {
	known := map[string]bool{}
	c.Before = concealed(c.Kind, c.Before, c.BeforeValue, func(value string) string {
		known[value] = true
		return hidden
	})
	c.After = concealed(c.Kind, c.After, c.AfterValue, func(value string) string {
		if c.BeforeValue != nil && !known[value] {
			return hiddenChanged
		}
		return hidden
	})
	c.BeforeValue, c.AfterValue = nil, nil
}

func concealed(kind, text string, value json.RawMessage, veil ir.Veil) string {
	if value == nil {
		return text
	}
	o := Object{Kind: kind, Value: value}.Veiled(veil)
	if same(value, o.Value) {
		return text
	}
	out, err := yaml.JSONToYAML(o.Value)
	if err != nil || o.Value == nil { // what is not understood is not shown
		return hidden + "\n"
	}
	return string(out)
}

// same tells whether two texts of JSON say the same.
func same(a, b json.RawMessage) bool {
	var v, w any
	da, db := json.NewDecoder(bytes.NewReader(a)), json.NewDecoder(bytes.NewReader(b))
	da.UseNumber()
	db.UseNumber()
	return da.Decode(&v) == nil && db.Decode(&w) == nil && reflect.DeepEqual(v, w)
}
