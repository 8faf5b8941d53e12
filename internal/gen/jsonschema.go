package main

func jsonSchema(kinds []*kind) ([]byte, error) { return nil, nil }
func reference(k *kind) []byte                 { return nil }
