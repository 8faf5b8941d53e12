package distrib

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the codec that this one is a part of
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/gridway/gridway/internal/mesh/meshpb"
)

const (
	// maxMessage bounds messages in both directions, in bytes.
	maxMessage = 4 << 20
	// partBytes is how long parts of an Update become, but for what names them.
	partBytes = 1 << 20
	// streamWindow bounds what is on the way to a proxy that does not read.
	streamWindow = 256 << 10
)

// frame is a message that is encoded already. Its pieces may be shared by the streams
// of all proxies, so that sending a body to a thousand of them takes its memory once.
type frame struct{ pieces mem.BufferSlice }

// len is in bytes.
func (f *frame) len() int { return f.pieces.Len() }

// codec is gRPC's of Protocol Buffers, which sends frames as they are.
type codec struct{ encoding.CodecV2 }

func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if f, ok := v.(*frame); ok {
		return f.pieces, nil
	}
	return c.CodecV2.Marshal(v)
}

func newCodec() codec { return codec{encoding.GetCodecV2("proto")} }

// message makes a frame of a FromControl.
func message(m *meshpb.FromControl) (*frame, error) {
	b, err := proto.Marshal(m)
	if err != nil {
		return nil, err
	}
	return &frame{mem.BufferSlice{mem.SliceBuffer(b)}}, nil
}

// piece is a resource, or a part of the body of a long one.
type piece struct {
	resource *Resource
	from, to int
	// base is the hash of what the resource is sent as a change of, 0 if it is not.
	base uint64
}

// part is one message of an Update.
type part struct {
	pieces   []piece
	removals []Key
	bytes    int
}

// parts packs what changed into as few messages as their bound allows; there is at
// least one. before is what there was of a resource, nil if that is of no use.
func parts(upserts []*Resource, removals []Key, before func(Key) *Resource) []part {
	out := []part{{}}
	room := func(n int) *part {
		last := &out[len(out)-1]
		if last.bytes > 0 && last.bytes+n > partBytes {
			out = append(out, part{})
			last = &out[len(out)-1]
		}
		last.bytes += n
		return last
	}
	for _, k := range removals {
		p := room(len(k.Kind) + len(k.Name) + 8)
		p.removals = append(p.removals, k)
	}
	for _, r := range upserts {
		base := before(r.Key())
		if prefix, suffix, ok := patchOf(base, r); ok {
			to := len(r.Body) - suffix
			p := room(len(r.Kind) + len(r.Name) + 64 + to - prefix)
			p.pieces = append(p.pieces, piece{r, prefix, to, base.Hash})
			continue
		}
		for from := 0; ; {
			to := min(from+partBytes, len(r.Body))
			p := room(len(r.Kind) + len(r.Name) + 32 + to - from)
			p.pieces = append(p.pieces, piece{r, from, to, 0})
			if from = to; from == len(r.Body) {
				break
			}
		}
	}
	return out
}

// Numbers of the fields in distribution.proto.
const (
	fieldUpdate  = 2 // of FromControl
	fieldUpserts = 4 // of Update
	fieldKind    = 1 // of Resource
	fieldName    = 2
	fieldHash    = 3
	fieldBody    = 4
	fieldSize    = 5
	fieldBase    = 6
	fieldPrefix  = 7
	fieldSuffix  = 8
)

// encode writes a part: head has all fields of the Update but its resources and
// removals.
func (p *part) encode(head *meshpb.Update) (*frame, error) {
	for _, k := range p.removals {
		head.Removals = append(head.Removals, &meshpb.ResourceKey{Kind: k.Kind, Name: k.Name})
	}
	fixed, err := proto.Marshal(head)
	if err != nil {
		return nil, err
	}
	// The fields of a message may follow each other in any order (Protocol Buffers
	// encoding), so that bodies need not be copied between those of the Update.
	length := len(fixed)
	heads := make([]byte, 0, 128*len(p.pieces))
	ends := make([]int, 0, len(p.pieces))
	for _, x := range p.pieces {
		r := x.resource
		before := len(heads)
		size := protowire.SizeTag(fieldKind) + protowire.SizeBytes(len(r.Kind)) +
			protowire.SizeTag(fieldName) + protowire.SizeBytes(len(r.Name)) +
			protowire.SizeTag(fieldHash) + protowire.SizeFixed64() +
			protowire.SizeTag(fieldBody) + protowire.SizeBytes(x.to-x.from)
		whole := x.base != 0 || x.to-x.from == len(r.Body)
		prefix, suffix := uint64(x.from), uint64(len(r.Body)-x.to)
		if x.base != 0 {
			size += protowire.SizeTag(fieldBase) + protowire.SizeFixed64() +
				protowire.SizeTag(fieldPrefix) + protowire.SizeVarint(prefix) + protowire.SizeTag(fieldSuffix) + protowire.SizeVarint(suffix)
		}
		if !whole {
			size += protowire.SizeTag(fieldSize) + protowire.SizeVarint(uint64(len(r.Body)))
		}
		heads = protowire.AppendTag(heads, fieldUpserts, protowire.BytesType)
		heads = protowire.AppendVarint(heads, uint64(size))
		heads = protowire.AppendTag(heads, fieldKind, protowire.BytesType)
		heads = protowire.AppendString(heads, r.Kind)
		heads = protowire.AppendTag(heads, fieldName, protowire.BytesType)
		heads = protowire.AppendString(heads, r.Name)
		heads = protowire.AppendTag(heads, fieldHash, protowire.Fixed64Type)
		heads = protowire.AppendFixed64(heads, r.Hash)
		if x.base != 0 {
			heads = protowire.AppendTag(heads, fieldBase, protowire.Fixed64Type)
			heads = protowire.AppendFixed64(heads, x.base)
			heads = protowire.AppendTag(heads, fieldPrefix, protowire.VarintType)
			heads = protowire.AppendVarint(heads, prefix)
			heads = protowire.AppendTag(heads, fieldSuffix, protowire.VarintType)
			heads = protowire.AppendVarint(heads, suffix)
		}
		if !whole {
			heads = protowire.AppendTag(heads, fieldSize, protowire.VarintType)
			heads = protowire.AppendVarint(heads, uint64(len(r.Body)))
		}
		heads = protowire.AppendTag(heads, fieldBody, protowire.BytesType)
		heads = protowire.AppendVarint(heads, uint64(x.to-x.from))
		ends = append(ends, len(heads))
		length += len(heads) - before + x.to - x.from
	}
	first := protowire.AppendTag(nil, fieldUpdate, protowire.BytesType)
	first = protowire.AppendVarint(first, uint64(length))
	first = append(first, fixed...)
	pieces := make(mem.BufferSlice, 0, 1+2*len(p.pieces))
	pieces = append(pieces, mem.SliceBuffer(first))
	at := 0
	for i, x := range p.pieces {
		pieces = append(pieces, mem.SliceBuffer(heads[at:ends[i]]))
		if x.to > x.from {
			pieces = append(pieces, mem.SliceBuffer(x.resource.Body[x.from:x.to]))
		}
		at = ends[i]
	}
	return &frame{pieces}, nil
}

// ServerOptions are those that a gRPC server needs that has a Server among its
// services. Other services may be on it, too.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ForceServerCodecV2(newCodec()),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.KeepaliveParams(serverKeepalive),
		grpc.KeepaliveEnforcementPolicy(keepaliveBound),
		// A proxy that says much at a time waits; nothing of it is large.
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.MaxConcurrentStreams(16),
		grpc.ReadBufferSize(4 << 10), grpc.WriteBufferSize(16 << 10),
	}
}
