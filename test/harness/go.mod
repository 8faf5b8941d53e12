module github.com/gridway/gridway/test/harness

go 1.26.8
