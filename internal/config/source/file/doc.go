// Package file is the source that reads objects from YAML and JSON files and
// folders, once (Load) or again with each change (Watcher).
//
// Files are cut into documents, and a document whose text did not change is
// not decoded again, so that one changed route in a file with ten thousand
// costs one decode. An object that did not change keeps its identity: the same
// *store.Object comes back, or, when only its lines moved, one with the same
// Value and Hash.
//
// A document with errors keeps the last good version of its objects; a file or
// document that is gone takes its objects away. Everything else is left to
// whoever gets the snapshots.
//
// The package's only goroutines are those of a read, which are waited for, and
// one inside fsnotify while Watcher.Run runs. Sources may be imported by app
// and the CLI.
package file
