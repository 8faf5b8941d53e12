package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

// certificateTable lists what issuers have given, and when they are asked next.
func certificateTable(list []adminapi.Certificate, now time.Time) *term.Table {
	table := term.NewTable("certificate", "for", "state", "expires", "next try", "why")
	for _, c := range list {
		style := term.Good
		switch {
		case !c.Valid:
			style = term.Bad
		case c.Phase != "Issued" && c.Phase != "Renewing":
			style = term.Warn
		}
		why := c.Error
		if c.Failures > 0 {
			why = fmt.Sprintf("failed %s, last %s ago: %s", times(c.Failures), age(max(0, now.Sub(c.FailedAt))), why)
		}
		table.Row(short(c.Secret), strings.Join(c.Names, ", "), term.Paint(strings.ToLower(c.Phase), style), expiry(c.NotAfter, now), nextTry(c.NextTry, now), why)
	}
	return table
}

func expiry(at, now time.Time) string {
	switch {
	case at.IsZero():
		return term.Paint("none yet", term.Bad)
	case !now.Before(at):
		return term.Paint(age(now.Sub(at))+" ago", term.Bad)
	}
	return "in " + age(at.Sub(now))
}

func nextTry(at, now time.Time) string {
	switch {
	case at.IsZero():
		return ""
	case !now.Before(at):
		return "now"
	}
	return "in " + age(at.Sub(now))
}

func getCertificates(ctx context.Context, t *term.Terminal, a *admin, out *term.Format, name string) error {
	s, err := ask(ctx, a, func(ctx context.Context, c *client.Client) (*adminapi.Status, error) { return c.Status(ctx) })
	if err != nil {
		return err
	}
	found := []adminapi.Certificate{}
	var names []string
	for _, c := range s.Certificates {
		own := c.Secret[strings.LastIndexByte(c.Secret, '/')+1:]
		names = append(names, own)
		if name == "" || own == name || strings.HasSuffix(c.Secret, "/"+name) {
			found = append(found, c)
		}
	}
	if len(found) == 0 && name != "" {
		hint := `"gridway get certificates" lists what there is`
		if near := nearest(name, names); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		return hintError{Err: fmt.Errorf("the gateway has no certificate %s from an issuer", name), Hint: hint}
	}
	if *out != term.TableFormat {
		return out.Write(t.Out, found)
	}
	t.Printf("%s", certificateTable(found, time.Now()))
	return nil
}
