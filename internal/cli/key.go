package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/command"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/password"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

const (
	minKeyBytes = 16
	maxKeyBytes = 1024
)

func newKey(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "key",
		GroupID: groupFiles,
		Short:   "Make, list, rotate and revoke API keys",
		Long: `API keys stand in configuration as hashes: who can read a Consumer cannot use its
keys. "key create" makes a key and shows it once, with its hash. "key hash" makes
the hash of a key that exists already. With the name of a consumer in the state
store "key create" gives the key to it; "key list", "key rotate" and "key revoke"
work on the keys of such a consumer, through the admin API.

A key has 16 to 1024 bytes, and its hash is its SHA-256. That keeps a random key
secret; one that people thought up can be found by trying. See
docs/guides/authentication.md.`,
		Example: lines("gridway key create", "gridway key create acme --prefix acme_live_", "gridway key rotate acme key-1 --overlap 48h", `printf %s "$KEY" | gridway key hash`),
	}
	cmd.AddCommand(newKeyCreate(t), newKeyList(t), newKeyRotate(t), newKeyRevoke(t), newKeyHash(t))
	return cmd
}

// newAPIKey is what "key create" prints.
type newAPIKey struct {
	Key  string `json:"key"`
	Hash string `json:"hash"`
}

func newKeyCreate(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create [CONSUMER]",
		Short: "Make a random key, and print it",
		Long: `Makes a key of 160 random bits, and prints it. Without a consumer it is printed with
its hash, and nothing is kept: give the key to who is to use it, and put the hash
into a Consumer. With the name of a consumer in the state store that one has the key
from then on, and the gateway keeps the hash alone. With --client it is the secret of a
client, which gets access tokens for it (docs/guides/token-endpoint.md).

` + adminHelp,
		Example: lines("gridway key create --prefix shop_live_", "gridway key create acme", "gridway key create acme --name live --expires 2160h", "gridway key create acme --client --scope orders.read"),
		Args:    command.Takes(0, 1),
	}
	out := outputFlag(cmd)
	prefix := cmd.Flags().String("prefix", "", "what the key begins with, by which people and scanners know it")
	var f keyFlags
	f.add(cmd)
	f.addClient(cmd)
	a := adminFlag(t, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			q, err := f.request(*prefix)
			if err != nil {
				return err
			}
			k, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) (*access.CreatedKey, error) {
				return c.CreateKey(ctx, f.namespace, args[0], q)
			})
			return writeKey(t, *out, k, err)
		}
		if f.name != "" || f.expires != "" || f.isClient {
			return usagef("usage: "+cmd.UseLine(), "--name, --expires and --client are for the key of a CONSUMER")
		}
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
		Args:    command.Takes(0, 1),
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
				Err: fmt.Errorf("the key has %d bytes, and must have %d to %d", len(key), minKeyBytes, maxKeyBytes), Hint: `"gridway key create" makes a good one`,
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
