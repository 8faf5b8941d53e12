package grpc_test

import (
	"math/rand/v2"
	"testing"

	"github.com/gridway/gridway/internal/wire/grpc"
)

// The pieces in which messages come change nothing: the end of each message, and
// nothing else, is a place between two.
func TestFrames(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var stream []byte
		ends := map[int]bool{0: true}
		for range 1 + random.IntN(8) {
			n := []int{0, 1, 4, 5, 6, 255, 300, 70_000}[random.IntN(8)]
			stream = append(append(stream, byte(n&1), 0, byte(n>>16), byte(n>>8), byte(n)), make([]byte, n)...)
			ends[len(stream)] = true
		}
		var frames grpc.Frames
		for at := 0; at < len(stream); {
			n := min(1+random.IntN(1<<random.IntN(17)), len(stream)-at)
			frames.Follow(stream[at : at+n])
			if at += n; frames.Between() != ends[at] {
				t.Fatalf("after %d bytes of %d: between two messages: %v", at, len(stream), frames.Between())
			}
		}
	}
}
