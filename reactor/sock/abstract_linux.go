package sock

// hasAbstract: "@name" is not a file, but a name in the network namespace (unix(7)).
const hasAbstract = true
