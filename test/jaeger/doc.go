// Package jaeger sends the traces of a whole mesh to Jaeger v2, over both protocols of
// OTLP, and asks Jaeger what it has understood of them. It is a module of its own, and no
// part of "make test", since Jaeger takes minutes to build: "make jaeger" builds it once,
// with scripts/jaeger, and runs the tests. They own every process they start.
package jaeger
