package accessdb

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/config/decode"
	"github.com/gridway/gridway/internal/config/source/file"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/statedb"
)

// manifest is the form in which a Consumer is kept, sent and exported: what the
// user says of it, and nothing that Gridway has found out.
type manifest struct {
	APIVersion string                `json:"apiVersion"`
	Kind       string                `json:"kind"`
	Metadata   metadata              `json:"metadata"`
	Spec       v1alpha1.ConsumerSpec `json:"spec"`
}

type metadata struct {
	Namespace   string            `json:"namespace"`
	Name        string            `json:"name"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

func manifestOf(v *v1alpha1.Consumer) *manifest {
	m := &manifest{
		APIVersion: v1alpha1.GroupName + "/" + v1alpha1.Version, Kind: v1alpha1.KindConsumer,
		Metadata: metadata{Namespace: v.Namespace, Name: v.Name, Labels: v.Labels, Annotations: v.Annotations}, Spec: v.Spec,
	}
	if len(m.Metadata.Labels) == 0 {
		m.Metadata.Labels = nil
	}
	if len(m.Metadata.Annotations) == 0 {
		m.Metadata.Annotations = nil
	}
	return m
}

func (m *manifest) text() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(m)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

func (m *manifest) name() string { return m.Metadata.Namespace + "/" + m.Metadata.Name }

func readManifest(text []byte) (*manifest, error) {
	m := &manifest{}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("a consumer in the state store cannot be read: %w", err)
	}
	return m, nil
}

// credential finds one by its name.
func (m *manifest) credential(name string) *v1alpha1.ConsumerCredential {
	for i := range m.Spec.Credentials {
		if m.Spec.Credentials[i].Name == name {
			return &m.Spec.Credentials[i]
		}
	}
	return nil
}

// digests are what the consumer is found by.
func (m *manifest) digests() (out []statedb.Credential) {
	for i := range m.Spec.Credentials {
		c := &m.Spec.Credentials[i]
		if d, ok := compile.CredentialDigest(m.Metadata.Namespace, m.Metadata.Name, c); ok {
			out = append(out, statedb.Credential{Name: c.Name, Digest: hex.EncodeToString(d[:])})
		}
	}
	return append(out, m.clients()...)
}

// clients are the client IDs, which one consumer of all namespaces has, each once
// however many secrets it has.
func (m *manifest) clients() (out []statedb.Credential) {
	seen := map[string]bool{}
	for i := range m.Spec.Credentials {
		c := &m.Spec.Credentials[i]
		if c.ClientSecret == nil {
			continue
		}
		if id := compile.ClientID(m.Metadata.Namespace, m.Metadata.Name, c.ClientSecret); !seen[id] {
			seen[id] = true
			d := ir.ClientDigest(id)
			out = append(out, statedb.Credential{Name: c.Name, Digest: hex.EncodeToString(d[:]), Everywhere: true})
		}
	}
	return out
}

// redacted is the manifest without the hashes of keys and passwords.
func (m *manifest) redacted() *manifest {
	out := *m
	out.Spec.Credentials = nil
	hidden := ir.Hidden
	for _, c := range m.Spec.Credentials {
		if c.APIKey != nil && c.APIKey.Hash != nil {
			c.APIKey = &v1alpha1.APIKeyCredential{Hash: &hidden}
		}
		if c.ClientSecret != nil && c.ClientSecret.Hash != nil {
			s := *c.ClientSecret
			s.Hash = &hidden
			c.ClientSecret = &s
		}
		if c.Basic != nil && c.Basic.Hash != nil {
			b := *c.Basic
			b.Hash = &hidden
			c.Basic = &b
		}
		out.Spec.Credentials = append(out.Spec.Credentials, c)
	}
	return &out
}

// parse reads documents of Consumers in YAML or JSON. What is wrong is told with
// its line and column in text.
func parse(text []byte) ([]*manifest, error) {
	var (
		out      []*manifest
		problems []store.Problem
	)
	seen := map[store.Key]store.Position{}
	for _, doc := range file.Documents("", text) {
		r := decode.Decode(doc)
		for _, p := range r.Problems {
			if p.Severity == store.Error {
				problems = append(problems, p)
			}
		}
		for _, o := range r.Objects {
			v, ok := o.Value.(*v1alpha1.Consumer)
			if !ok {
				problems = append(problems, store.Problem{
					Severity: store.Error, Code: "WrongKind", Object: o.Key, Position: o.Locate("kind"),
					Message: "only Consumers are kept in the state store", Remedy: "put " + o.Key.Kind + " objects into the gateway's files",
				})
				continue
			}
			if at, twice := seen[o.Key]; twice {
				problems = append(problems, store.Problem{
					Severity: store.Error, Code: "DuplicateObject", Object: o.Key, Position: o.Locate("metadata.name"), Message: "is given twice, first at " + at.String(),
				})
				continue
			}
			seen[o.Key] = o.Locate("metadata.name")
			problems = append(problems, compile.JudgeConsumer(o)...)
			out = append(out, manifestOf(normal(v)))
		}
	}
	if len(problems) > 0 {
		return nil, invalid(problems)
	}
	return out, nil
}

// normal gives times the form that they are kept in.
func normal(v *v1alpha1.Consumer) *v1alpha1.Consumer {
	out := v.DeepCopy()
	for i := range out.Spec.Credentials {
		c := &out.Spec.Credentials[i]
		for _, at := range []*metav1.Time{c.NotBefore, c.NotAfter} {
			if at != nil {
				at.Time = at.UTC()
			}
		}
	}
	return out
}
