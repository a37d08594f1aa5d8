package code

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/covefn/cove"
)

// invalid is the refusal of a package, for the field that it came in.
func invalid(format string, args ...any) *cove.Error {
	return cove.Invalid("code", format, args...)
}

// tooLarge is the refusal of a package that passes a limit.
func tooLarge(format string, args ...any) *cove.Error {
	e := invalid(format, args...)
	e.Code = cove.CodeTooLarge
	return e
}

// internal is a failure of the host's own, with the one that a user of it can
// mend told apart.
func internal(what string, err error) error {
	var known *cove.Error
	if errors.As(err, &known) {
		return known
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &cove.Error{Code: cove.CodeUnavailable, Message: "the disk that holds the packages is full: make room in the data directory", Err: err}
	}
	return &cove.Error{Code: cove.CodeInternal, Message: "the package could not be kept", Err: fmt.Errorf("%s: %w", what, err)}
}
