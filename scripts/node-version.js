// Ends with 1 under a Node that cannot build the console.
const [major, minor] = process.versions.node.split('.').map(Number)
process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)
