package cli

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

// build describes the binary.
type build struct {
	Version    string `json:"version"`
	Commit     string `json:"commit,omitempty"`
	Modified   bool   `json:"modified,omitempty"`
	Built      string `json:"built,omitempty"`
	Go         string `json:"go"`
	Platform   string `json:"platform"`
	GatewayAPI string `json:"gatewayAPI,omitempty"`
}

func readBuild() build {
	b := build{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
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

func (b build) String() string {
	s := "gridway " + b.Version
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

func newVersion(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:               "version",
		Short:             "Print the version of this binary",
		Long:              "Prints the version, the commit it was built from, and the Gateway API version whose kinds it knows.",
		Example:           lines("gridway version", "gridway version -o json"),
		Args:              noArgs,
		ValidArgsFunction: offer(),
	}
	out := outputFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		b := readBuild()
		if *out == term.TableFormat {
			t.Printf("%s\n", b)
			return nil
		}
		return out.Write(t.Out, b)
	}
	return cmd
}
