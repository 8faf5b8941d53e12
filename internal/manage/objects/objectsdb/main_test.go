package objectsdb_test

import (
	"testing"

	"github.com/gridway/gridway/internal/statedb/statetest"
)

func TestMain(m *testing.M) { statetest.Main(m) }
