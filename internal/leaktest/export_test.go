package leaktest

// CheckFor is Check with another patience.
var CheckFor = check
