// Package wrap makes the errors that are package variables and have a cause. Package fmt
// would format them when the program starts, and what it touches for that stays in the
// memory of every worker.
package wrap

// Error returns an error whose text is the given one, and which wraps cause.
func Error(text string, cause error) error { return &wrapped{text, cause} }

type wrapped struct {
	text  string
	cause error
}

// Error implements error.
func (w *wrapped) Error() string { return w.text }

// Unwrap returns the cause, which is in the text already.
func (w *wrapped) Unwrap() error { return w.cause }
