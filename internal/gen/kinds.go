package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/gridway/gridway/api/v1alpha1"
)

// kind is one version of one kind with its schema as OpenAPI gives it.
type kind struct {
	group, version, name, plural string
	namespaced, deprecated       bool
	description                  string
	schema                       object
}

// object is a schema or a part of one, as decoded from YAML.
type object = map[string]any

func (k *kind) own() bool { return k.group == v1alpha1.GroupName }

func (k *kind) page() string { return strings.ToLower(k.name) + ".md" }

func (k *kind) apiVersion() string {
	if k.group == "" {
		return k.version
	}
	return k.group + "/" + k.version
}

// loadKinds reads the CRDs and adds the core kinds, in a fixed order.
func loadKinds(ctx context.Context, root string) ([]*kind, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("find the Gateway API module: %w", err)
	}
	gatewayAPI, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "config/crd/experimental/gateway.networking.k8s.io_*.yaml"))
	if err != nil {
		return nil, err
	}
	own, err := filepath.Glob(filepath.Join(root, "deploy/crds/*.yaml"))
	if err != nil {
		return nil, err
	}
	if len(gatewayAPI) == 0 || len(own) == 0 {
		return nil, fmt.Errorf("found %d CRD files of the Gateway API and %d of Gridway", len(gatewayAPI), len(own))
	}
	var kinds []*kind
	for _, file := range append(own, gatewayAPI...) {
		of, err := crdKinds(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		kinds = append(kinds, of...)
	}
	kinds = append(kinds, coreKinds()...)
	for _, k := range kinds {
		properties := k.schema["properties"].(object)
		properties["metadata"] = metadataSchema()
		required, _ := k.schema["required"].([]any)
		k.schema["required"] = append([]any{"metadata"}, required...)
		if _, ok := properties["status"]; ok {
			properties["status"] = object{
				"type": "object", "x-kubernetes-preserve-unknown-fields": true,
				"description": "Status is written by Gridway and ignored when read from files.",
			}
		}
		if err := simplify(k.schema); err != nil {
			return nil, fmt.Errorf("%s %s: %w", k.apiVersion(), k.name, err)
		}
	}
	return kinds, nil
}

func crdKinds(file string) ([]*kind, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var crd struct {
		Kind string
		Spec struct {
			Group string
			Scope string
			Names struct{ Kind, Plural string }

			Versions []struct {
				Name       string
				Deprecated bool
				Schema     struct {
					OpenAPIV3Schema object `json:"openAPIV3Schema"`
				}
			}
		}
	}
	if err := yaml.Unmarshal(data, &crd); err != nil {
		return nil, err
	}
	if crd.Kind != "CustomResourceDefinition" {
		return nil, nil
	}
	var kinds []*kind
	for _, v := range crd.Spec.Versions {
		description, _ := v.Schema.OpenAPIV3Schema["description"].(string)
		kinds = append(kinds, &kind{
			group: crd.Spec.Group, version: v.Name, name: crd.Spec.Names.Kind, plural: crd.Spec.Names.Plural,
			namespaced: crd.Spec.Scope == "Namespaced", deprecated: v.Deprecated,
			description: description, schema: v.Schema.OpenAPIV3Schema,
		})
	}
	return kinds, nil
}

// simplify rewrites the few uses of anyOf, oneOf and not into rules, so that
// readers of the schema need not know these.
func simplify(s object) error {
	if _, ok := s["oneOf"]; ok {
		properties, _ := s["properties"].(object)
		if properties["type"] == nil || properties["value"] == nil {
			return fmt.Errorf("oneOf in an unexpected place: %v", s)
		}
		delete(s, "oneOf")
		addRule(s, "self.type != 'IPAddress' || !has(self.value) || self.value == '' || isIP(self.value)",
			"value must be an IP address when type is IPAddress")
	}
	if s["x-kubernetes-int-or-string"] == true {
		delete(s, "anyOf")
	}
	for _, word := range []string{"anyOf", "allOf", "not"} {
		if v, ok := s[word]; ok {
			return fmt.Errorf("%s in an unexpected place: %v", word, v)
		}
	}
	dropTransitionRules(s)
	if properties, ok := s["properties"].(object); ok {
		for name, p := range properties {
			if err := simplify(p.(object)); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	for _, word := range []string{"items", "additionalProperties"} {
		if p, ok := s[word].(object); ok {
			if err := simplify(p); err != nil {
				return err
			}
		}
	}
	return nil
}

func addRule(s object, rule, message string) {
	rules, _ := s["x-kubernetes-validations"].([]any)
	s["x-kubernetes-validations"] = append(rules, object{"rule": rule, "message": message})
}

// dropTransitionRules takes out rules about what an object was before.
func dropTransitionRules(s object) {
	rules, ok := s["x-kubernetes-validations"].([]any)
	if !ok {
		return
	}
	s["x-kubernetes-validations"] = slices.DeleteFunc(rules, func(r any) bool {
		return strings.Contains(r.(object)["rule"].(string), "oldSelf")
	})
}
