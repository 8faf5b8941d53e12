package snapshot

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"

	"github.com/gridway/gridway/internal/ir"
)

// Part is the listener as those connections see it that belong to the section which
// has the server name; nil if none has it.
func (l *Listener) Part(serverName string) *Listener {
	return l.parts[strings.ToLower(strings.TrimSuffix(serverName, "."))]
}

// PartOf is the part of a section, by its name; nil if there is none.
func (l *Listener) PartOf(section string) *Listener { return l.bySection[section] }

// parts gives a listener whose connections belong to one section each a table for
// each of them. A request has no say in it: its host is the application's affair.
func (b *builder) parts(l, before *Listener) error {
	l.parts, l.bySection = map[string]*Listener{}, make(map[string]*Listener, len(l.IR.Sections))
	for _, section := range l.IR.Sections {
		part, err := b.part(l, before, section)
		if err != nil {
			return err
		}
		l.bySection[section.Name] = part
		for _, name := range section.ServerNames {
			putFirst(&l.parts, name, part)
		}
	}
	return nil
}

func (b *builder) part(l, before *Listener, section *ir.Section) (*Listener, error) {
	part := *l
	part.parts, part.bySection = nil, nil
	part.Section = section
	part.sections = []*ir.Section{section}
	part.ends = endsOf(b.deps.Signals, l.IR, part.sections)
	one := *l.IR
	one.Sections = part.sections
	part.Doors = b.buildDoors(&one)
	part.Door = partDoor(l.Door, section)
	if part.CertificateURIs = nil; section.Identity != "" {
		part.CertificateURIs = []string{section.Identity}
	}
	var was *Listener
	if before != nil {
		was = before.bySection[section.Name]
	}
	if err := b.table(&part, was); err != nil {
		return nil, err
	}
	part.Secure = &part
	return &part, nil
}

// partDoor changes with who shows itself at a section.
func partDoor(door uint64, section *ir.Section) uint64 {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(section.Name+"\x00"+section.Identity+"\x00"), door))
	return binary.BigEndian.Uint64(sum[:])
}
