package extauthz

import (
	"testing"

	"github.com/gridway/gridway/test/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
