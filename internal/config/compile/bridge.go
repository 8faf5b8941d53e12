package compile

import (
	"slices"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/ir"
)

// defaultBridgeMessage is what gRPC's own libraries take by default, in bytes.
const defaultBridgeMessage = 4 << 20

func bridge(b *v1alpha1.Bridge) *ir.Bridge {
	if b == nil || b.Protocols != nil && len(b.Protocols) == 0 {
		return nil
	}
	return &ir.Bridge{
		GRPCWeb:         b.Protocols == nil || slices.Contains(b.Protocols, v1alpha1.BridgeGRPCWeb),
		Connect:         b.Protocols == nil || slices.Contains(b.Protocols, v1alpha1.BridgeConnect),
		MaxMessageBytes: deref(b.MaxMessageBytes, defaultBridgeMessage),
	}
}
