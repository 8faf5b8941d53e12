package load

import "fmt"

// KeyHeader is where requests have their API key.
const KeyHeader = "X-API-Key"

// Key is the API key of a caller.
func Key(caller int) string { return fmt.Sprintf("bench-key-of-caller-%08d-in-32-more-bytes", caller) }
