package cli

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/password"
)

const (
	minKeyBytes = 16
	maxKeyBytes = 1024
)

func newKey(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "key",
		GroupID: groupFiles,
		Short:   "Make API keys, and the hashes that configuration has of them",
		Long: `API keys stand in configuration as hashes: who can read a Consumer cannot use its
keys. "key create" makes a key and shows it once, with its hash. "key hash" makes
the hash of a key that exists already.

A key has 16 to 1024 bytes, and its hash is its SHA-256. That keeps a random key
secret; one that people thought up can be found by trying. See
docs/guides/authentication.md.`,
		Example: lines("gridway key create", "gridway key create --prefix shop_live_ -o json", `printf %s "$KEY" | gridway key hash`),
	}
	cmd.AddCommand(newKeyCreate(t), newKeyHash(t))
	return cmd
}

// newAPIKey is what "key create" prints.
type newAPIKey struct {
	Key  string `json:"key"`
	Hash string `json:"hash"`
}

func newKeyCreate(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a random key, and print it with its hash",
		Long: `Makes a key of 160 random bits, and prints it with its hash. Nothing is kept: give
the key to who is to use it, and put the hash into a Consumer.`,
		Example: lines("gridway key create", "gridway key create --prefix shop_live_"),
		Args:    noArgs,
	}
	out := outputFlag(cmd)
	prefix := cmd.Flags().String("prefix", "", "what the key begins with, by which people and scanners know it")
	cmd.RunE = func(*cobra.Command, []string) error {
		if len(*prefix) > 64 || strings.ContainsFunc(*prefix, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`";,\`, r) }) {
			return usagef("letters, digits, - and _ are fine", "the prefix has more than 64 characters, or one that cannot be in a header")
		}
		k := newAPIKey{Key: *prefix + strings.ToLower(rand.Text()+rand.Text()[:6])}
		k.Hash = keyHash([]byte(k.Key))
		if *out != term.TableFormat {
			return out.Write(t.Out, k)
		}
		t.Printf("%s %s\n%s %s\n\n", term.Paint("key ", term.Bold), k.Key, term.Paint("hash", term.Bold), k.Hash)
		t.Printf("%s\n", term.Paint("The key is shown this once. Its hash goes into a Consumer:", term.Faint))
		t.Printf("  credentials:\n  - name: first\n    apiKey: {hash: %q}\n", k.Hash)
		return nil
	}
	return cmd
}

func newKeyHash(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hash [FILE]",
		Short: "Print the hash of a key or a password",
		Long: `Reads a key from a file, or from the standard input so that it is in no history and
no list of processes, and prints its hash as a Consumer has it. One line break at
its end does not count. With --password it is the hash of a password for basic
authentication, by argon2id (19 MiB, two rounds) with a random salt.`,
		Example: lines(`printf %s "$KEY" | gridway key hash`, "gridway key hash key.txt", `printf %s "$PASSWORD" | gridway key hash --password`),
		Args:    cobra.MaximumNArgs(1),
	}
	isPassword := cmd.Flags().Bool("password", false, "it is a password, not a key")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		key, err := readKey(t, args)
		if err != nil {
			return err
		}
		if *isPassword {
			if len(key) == 0 || len(key) > maxKeyBytes {
				return fmt.Errorf("the password has %d bytes, and must have 1 to %d", len(key), maxKeyBytes)
			}
			t.Printf("%s\n", password.Make(key))
			return nil
		}
		if len(key) < minKeyBytes || len(key) > maxKeyBytes {
			return hintError{
				err: fmt.Errorf("the key has %d bytes, and must have %d to %d", len(key), minKeyBytes, maxKeyBytes), hint: `"gridway key create" makes a good one`,
			}
		}
		t.Printf("%s\n", keyHash(key))
		return nil
	}
	return cmd
}

// readKey reads a key without the line break at its end.
func readKey(t *term.Terminal, args []string) ([]byte, error) {
	in := t.In
	if len(args) == 1 && args[0] != "-" {
		f, err := os.Open(args[0])
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	key, err := io.ReadAll(io.LimitReader(in, maxKeyBytes+3))
	if err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(bytes.TrimSuffix(key, []byte("\n")), []byte("\r")), nil
}

func keyHash(key []byte) string {
	sum := sha256.Sum256(key)
	return "sha256:" + hex.EncodeToString(sum[:])
}
