package ca

import "github.com/gridway/gridway/internal/seal"

const secretOf = "secret of the mesh's authority"

// ReadSecrets reads the file of --ca-key-file: a secret to a line, each of 32 bytes at
// least; lines that are empty or begin with # are none. The first seals, all open.
func ReadSecrets(path string) ([][]byte, error) { return seal.ReadSecrets(secretOf, path) }

// ReadOrMakeSecret is ReadSecrets for a file that is made if it is not there, which only
// its owner may read: where one process alone has the state store.
func ReadOrMakeSecret(path string) ([][]byte, error) {
	return seal.ReadOrMakeSecret(secretOf, path, "Seals the root keys of the mesh in the state store. Without it they are lost: back it up, not beside the store.")
}
