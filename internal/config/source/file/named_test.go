package file_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/gridway/gridway/internal/config/source/file"
	"github.com/gridway/gridway/internal/config/store"
)

// pair makes a certificate and its key, in PEM.
func pair(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return text("CERTIFICATE", der), text("PRIVATE KEY", pkcs8)
}

func secret(files string) string {
	return "apiVersion: v1\nkind: Secret\nmetadata:\n  name: cert\n  annotations: {gridway.dev/files: \"" + files + "\"}\ntype: kubernetes.io/tls\n"
}

var secretKey = store.Key{Kind: "Secret", Namespace: "default", Name: "cert"}

func dataOf(set *store.Set) map[string][]byte {
	if o := set.Get(secretKey); o != nil {
		return o.Value.(*corev1.Secret).Data
	}
	return nil
}

func TestNamedFiles(t *testing.T) {
	dir := t.TempDir()
	cert, key := pair(t)
	write(t, filepath.Join(dir, "tls/shop.crt"), cert)
	write(t, filepath.Join(dir, "tls/shop.key"), key)
	write(t, filepath.Join(dir, "tls/set.bin"), "\xff\x00")
	write(t, filepath.Join(dir, "a.yaml"), secret("tls.crt=tls/shop.crt, tls.key="+dir+"/tls/shop.key")+`---
apiVersion: v1
kind: ConfigMap
metadata: {name: ca, annotations: {gridway.dev/files: "ca.crt=tls/shop.crt,api=tls/set.bin"}}
data: {more: text}
`)
	set, problems, err := file.Load([]string{dir}, file.Options{})
	if err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	if d := dataOf(set); string(d["tls.crt"]) != cert || string(d["tls.key"]) != key || len(d) != 2 {
		t.Errorf("the Secret has %d keys", len(d))
	}
	m := set.Get(store.Key{Kind: "ConfigMap", Namespace: "default", Name: "ca"}).Value.(*corev1.ConfigMap)
	if m.Data["ca.crt"] != cert || m.Data["more"] != "text" || !bytes.Equal(m.BinaryData["api"], []byte{0xff, 0}) {
		t.Errorf("got data %q, binary data %q", m.Data, m.BinaryData)
	}
}

func TestNamedFilesThatCannotBeUsed(t *testing.T) {
	cert, _ := pair(t)
	_, other := pair(t)
	var manyKeys strings.Builder
	for i := range 33 {
		fmt.Fprintf(&manyKeys, ",k%d=crt", i)
	}
	for name, c := range map[string]struct{ files, code, want string }{
		"no such file":     {"tls.crt=gone.crt", "UnreadableFile", "gone.crt: no such file or directory"},
		"a folder":         {"tls.crt=.", "UnreadableFile", "is no regular file"},
		"a pipe":           {"tls.crt=pipe", "UnreadableFile", "is no regular file"},
		"empty":            {"tls.crt=empty", "UnreadableFile", "empty: is empty"},
		"too long":         {"a=half,b=half,c=one", "UnreadableFile", "longer than 1048576 bytes"},
		"another's key":    {"tls.crt=crt,tls.key=other", "UnreadableFile", "crt: is not the certificate of the private key beside it"},
		"no path":          {"tls.crt", "InvalidValue", `"tls.crt" does not say which key gets which file`},
		"nothing":          {" , ", "InvalidValue", "does not say"},
		"key twice":        {"k=crt,k=other", "InvalidValue", "the key k is there twice"},
		"no key at all":    {"=crt", "InvalidValue", "does not say"},
		"key with a slash": {"../x=crt", "InvalidValue", "is no key"},
		"too many":         {manyKeys.String()[1:], "InvalidValue", "more than 32 files"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "crt"), cert)
			write(t, filepath.Join(dir, "other"), other)
			write(t, filepath.Join(dir, "empty"), "")
			write(t, filepath.Join(dir, "half"), strings.Repeat("x", 512<<10))
			write(t, filepath.Join(dir, "one"), "x")
			if err := unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, "a.yaml"), secret(c.files)+"---\n"+named("b"))
			set, problems, err := file.Load([]string{dir}, file.Options{})
			if err != nil || len(problems) != 1 || set.Len() != 1 {
				t.Fatal(set.Len(), problems, err)
			}
			p := problems[0]
			if p.Severity != store.Error || p.Code != c.code || p.Object != secretKey || p.Position.Line != 5 || p.Remedy == "" ||
				!strings.Contains(p.Message, c.want) || strings.Contains(p.String(), "BEGIN") {
				t.Errorf("got %s: %v\nwant %q", p.Code, p, c.want)
			}
		})
	}
}

func TestNamedFilesBesideOwnData(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "crt"), "x")
	write(t, filepath.Join(dir, "a.yaml"), secret("tls.crt=crt")+"stringData: {tls.crt: y}\n")
	_, problems, err := file.Load([]string{dir}, file.Options{})
	if err != nil || len(problems) != 1 || !strings.Contains(problems[0].Message, "data of its own for the key tls.crt") {
		t.Fatal(problems, err)
	}
}

// A renewal: two files, one after the other, outside the folder that is read,
// by a link that is moved as well as in place.
func TestNamedFilesChange(t *testing.T) {
	dir, live := t.TempDir(), t.TempDir()
	crt, private := filepath.Join(live, "shop.crt"), filepath.Join(live, "shop.key")
	renew := func() string {
		cert, key := pair(t)
		write(t, crt, cert)
		write(t, private, key)
		return cert
	}
	renew()
	write(t, filepath.Join(dir, "a.yaml"), named("a")+"---\n"+secret("tls.crt="+crt+",tls.key="+private))
	first, snapshots := watch(t, file.Options{Poll: time.Hour}, dir)
	serves := func(cert string) func(file.Snapshot) bool {
		return func(s file.Snapshot) bool { return string(dataOf(s.Set)["tls.crt"]) == cert && len(s.Problems) == 0 }
	}
	second := renew()
	s := await(t, snapshots, "the renewed certificate", serves(second))
	if s.Set.Get(s.Changed[0]) == nil || len(s.Changed) != 1 || s.Changed[0] != secretKey || s.Set.Get(key("a")) != first.Set.Get(key("a")) {
		t.Errorf("changed: %v", s.Changed)
	}

	// A certificate without its key: the last good pair stays.
	lone, _ := pair(t)
	write(t, crt, lone)
	s = await(t, snapshots, "the complaint", func(s file.Snapshot) bool { return len(s.Problems) == 1 })
	if string(dataOf(s.Set)["tls.crt"]) != second || !strings.Contains(s.Problems[0].Remedy, "its last good version stays in use") {
		t.Errorf("got %v", s.Problems)
	}
	await(t, snapshots, "the pair", serves(renew()))

	// The files become links to another folder, as certbot has them.
	archive := t.TempDir()
	issue := func(dir string) string {
		cert, key := pair(t)
		write(t, filepath.Join(dir, "crt"), cert)
		write(t, filepath.Join(dir, "key"), key)
		return cert
	}
	fourth := issue(archive)
	for link, target := range map[string]string{crt: "crt", private: "key"} {
		if err := os.Symlink(filepath.Join(archive, target), link+".new"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link+".new", link); err != nil {
			t.Fatal(err)
		}
	}
	await(t, snapshots, "the links", serves(fourth))
	fifth := issue(archive)
	await(t, snapshots, "what the links lead to", serves(fifth))

	// The object goes on to other files, which appear later.
	write(t, filepath.Join(dir, "a.yaml"), secret("tls.crt="+live+"/new/crt,tls.key="+live+"/new/key"))
	await(t, snapshots, "the complaint", func(s file.Snapshot) bool { return len(s.Problems) == 1 && string(dataOf(s.Set)["tls.crt"]) == fifth })
	await(t, snapshots, "the new files", serves(issue(filepath.Join(live, "new"))))
}
