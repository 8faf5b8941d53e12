package adminapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// mergePatch changes a JSON object by a patch, which is one too (RFC 7396).
func mergePatch(text, patch []byte) ([]byte, error) {
	var target, p map[string]any
	for _, one := range []struct {
		text []byte
		to   *map[string]any
	}{{text, &target}, {patch, &p}} {
		d := json.NewDecoder(bytes.NewReader(one.text))
		d.UseNumber()
		if err := d.Decode(one.to); err != nil {
			return nil, err
		}
		if *one.to == nil {
			return nil, errors.New("it is null, and must be an object")
		}
		if _, err := d.Token(); err != io.EOF {
			return nil, errors.New("something follows the object")
		}
	}
	return json.Marshal(merged(target, p))
}

func merged(target, patch map[string]any) map[string]any {
	if target == nil {
		target = map[string]any{}
	}
	for name, v := range patch {
		switch v := v.(type) {
		case nil:
			delete(target, name)
		case map[string]any:
			inner, _ := target[name].(map[string]any)
			target[name] = merged(inner, v)
		default:
			target[name] = v
		}
	}
	return target
}
