package main

import (
	"fmt"
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// coreKinds makes schemas of the core kinds from their Go types, with the
// constraints that matter to Gridway laid over them: these kinds have no CRD.
func coreKinds() []*kind {
	make := func(group, version, name, plural string, namespaced bool, example any, overlay func(object)) *kind {
		s := reflectSchema(reflect.TypeOf(example))
		s["properties"].(object)["apiVersion"] = object{"type": "string"}
		s["properties"].(object)["kind"] = object{"type": "string"}
		overlay(s)
		description, _ := s["description"].(string)
		return &kind{group: group, version: version, name: name, plural: plural, namespaced: namespaced, description: description, schema: s}
	}
	return []*kind{
		make("", "v1", "Service", "services", true, corev1.Service{}, func(s object) {
			ports := at(s, "spec.ports.items")
			ports["required"] = []any{"port"}
			constrain(ports, "port", object{"minimum": 1.0, "maximum": 65535.0})
			constrain(ports, "nodePort", object{"minimum": 0.0, "maximum": 65535.0})
			constrain(ports, "protocol", object{"enum": []any{"TCP", "UDP", "SCTP"}, "default": "TCP"})
			constrain(at(s, "spec"), "type", object{"enum": []any{"ClusterIP", "NodePort", "LoadBalancer", "ExternalName"}, "default": "ClusterIP"})
		}),
		make("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", true, discoveryv1.EndpointSlice{}, func(s object) {
			s["required"] = []any{"addressType"}
			constrain(s, "addressType", object{"enum": []any{"IPv4", "IPv6", "FQDN"}})
			endpoint := at(s, "endpoints.items")
			endpoint["required"] = []any{"addresses"}
			constrain(endpoint, "addresses", object{"minItems": 1.0, "maxItems": 100.0})
			constrain(at(s, "ports.items"), "port", object{"minimum": 1.0, "maximum": 65535.0})
			constrain(at(s, "ports.items"), "protocol", object{"enum": []any{"TCP", "UDP", "SCTP"}, "default": "TCP"})
		}),
		make("", "v1", "Secret", "secrets", true, corev1.Secret{}, func(s object) {
			constrain(s, "type", object{"default": "Opaque"})
		}),
		make("", "v1", "ConfigMap", "configmaps", true, corev1.ConfigMap{}, func(object) {}),
		make("", "v1", "Namespace", "namespaces", false, corev1.Namespace{}, func(object) {}),
	}
}

// metadataSchema is the schema of every object's metadata.
func metadataSchema() object {
	const label = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
	s := reflectSchema(reflect.TypeOf(metav1.ObjectMeta{}))
	s["required"] = []any{"name"}
	delete(s["properties"].(object), "generateName")
	constrain(s, "name", object{"minLength": 1.0, "maxLength": 253.0, "pattern": "^" + label + `(\.` + label + ")*$"})
	constrain(s, "namespace", object{"minLength": 1.0, "maxLength": 63.0, "pattern": "^" + label + "$"})
	s["properties"].(object)["labels"].(object)["additionalProperties"] = object{
		"type": "string", "maxLength": 63.0, "pattern": "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$",
	}
	s["properties"].(object)["managedFields"] = object{"type": "array", "items": object{}, "x-kubernetes-preserve-unknown-fields": true}
	return s
}

// at follows a path of properties and items.
func at(s object, path string) object {
	for _, p := range strings.Split(path, ".") {
		if p == "items" {
			s = s["items"].(object)
			continue
		}
		s = s["properties"].(object)[p].(object)
	}
	return s
}

func constrain(s object, property string, words object) {
	p := s["properties"].(object)[property].(object)
	for w, v := range words {
		p[w] = v
	}
}

// reflectSchema follows the JSON form of a Go type.
func reflectSchema(t reflect.Type) object {
	switch t {
	case reflect.TypeOf(metav1.Time{}), reflect.TypeOf(metav1.MicroTime{}):
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeOf(intstr.IntOrString{}):
		return object{"x-kubernetes-int-or-string": true}
	case reflect.TypeOf(resource.Quantity{}):
		return object{"x-kubernetes-int-or-string": true}
	case reflect.TypeOf([]byte{}):
		return object{"type": "string", "format": "byte"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return reflectSchema(t.Elem())
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int32:
		return object{"type": "integer", "format": "int32"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer", "format": "int64"}
	case reflect.Slice:
		return object{"type": "array", "items": reflectSchema(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": reflectSchema(t.Elem())}
	case reflect.Struct:
		return structSchema(t)
	}
	panic(fmt.Sprintf("no schema for %v", t))
}

func structSchema(t reflect.Type) object {
	docs := map[string]string{}
	if d, ok := reflect.New(t).Interface().(interface{ SwaggerDoc() map[string]string }); ok {
		docs = d.SwaggerDoc()
	}
	properties := object{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" || options == "inline" {
			for k, v := range structSchema(f.Type)["properties"].(object) {
				properties[k] = v
			}
			continue
		}
		if name == "" || name == "-" {
			continue
		}
		var p object
		if name == "managedFields" {
			p = object{}
		} else {
			p = reflectSchema(f.Type)
		}
		if docs[name] != "" {
			p["description"] = docs[name]
		}
		properties[name] = p
	}
	s := object{"type": "object", "properties": properties}
	if docs[""] != "" {
		s["description"] = docs[""]
	}
	return s
}
