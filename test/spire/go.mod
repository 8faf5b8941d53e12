module github.com/gridway/gridway/test/spire

go 1.26.8

require github.com/gridway/gridway/test/harness v0.0.0-00010101000000-000000000000

replace github.com/gridway/gridway/test/harness => ../harness
