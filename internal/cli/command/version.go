package command

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/term"
)

// version is set by the release build with -ldflags -X; a build from a checkout
// says which commit it is.
var version = ""

// Build describes the binary.
type Build struct {
	Version    string `json:"version"`
	Commit     string `json:"commit,omitempty"`
	Modified   bool   `json:"modified,omitempty"`
	Built      string `json:"built,omitempty"`
	Go         string `json:"go"`
	Platform   string `json:"platform"`
	GatewayAPI string `json:"gatewayAPI,omitempty"`
}

func ReadBuild() Build {
	b := Build{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	if b.Version == "" || b.Version == "(devel)" {
		b.Version = "devel"
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Built = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	for _, d := range info.Deps {
		if d.Path == "sigs.k8s.io/gateway-api" {
			b.GatewayAPI = d.Version
		}
	}
	return b
}

func (b Build) text(program string) string {
	s := program + " " + b.Version
	if len(b.Commit) >= 12 {
		s += " (" + b.Commit[:12]
		if b.Modified {
			s += ", modified"
		}
		s += ")"
	}
	s += fmt.Sprintf(" %s %s", b.Go, b.Platform)
	if b.GatewayAPI != "" {
		s += ", Gateway API " + b.GatewayAPI
	}
	return s
}

// NewVersion is the command version.
func NewVersion(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:               "version",
		Short:             "Print the version of this binary",
		Long:              "Prints the version, the commit it was built from, and the Gateway API version whose kinds it knows.",
		Example:           Lines("gridway version", "gridway version -o json"),
		Args:              NoArgs,
		ValidArgsFunction: Offer(),
	}
	out := OutputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		b := ReadBuild()
		if *out == term.TableFormat {
			t.Printf("%s\n", b.text(cmd.Root().Name()))
			return nil
		}
		return out.Write(t.Out, b)
	}
	return cmd
}
