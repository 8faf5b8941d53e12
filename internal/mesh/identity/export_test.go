package identity

// ParseFile reads a saved keyring.
var ParseFile = parseFile
