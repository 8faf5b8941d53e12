package testport_test

import (
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/gridway/gridway/internal/testport"
)

func TestFree(t *testing.T) {
	t.Parallel()
	var (
		mu   sync.Mutex
		seen = map[int]bool{}
		wg   sync.WaitGroup
	)
	for range 8 {
		wg.Go(func() {
			for range 50 {
				port := testport.Free(t)
				mu.Lock()
				if seen[port] {
					t.Errorf("port %d was given to two", port)
				}
				seen[port] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for port := range seen {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
}
