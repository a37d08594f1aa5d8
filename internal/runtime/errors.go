package runtime

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/covefn/cove"
)

// What can go wrong with a Conn beside what the function itself says, to be
// told apart with errors.Is. After any of them, and after one that wraps
// os.ErrDeadlineExceeded, the Conn is of no further use.
var (
	// ErrEnded says that the stream ended: the shim's process is gone, or
	// closed its end. What the handler did until then is not known.
	ErrEnded = errors.New("the runtime's stream ended")
	// ErrNotAccepted says that the stream ended before the shim had read the
	// whole INVOKE, so no handler has run and another instance may be tried.
	ErrNotAccepted = errors.New("the runtime ended before it accepted the request")
	// ErrProtocol says that the shim, or something that writes to its stream,
	// broke the protocol.
	ErrProtocol = errors.New("the runtime broke the protocol")
)

// protocolError is ErrProtocol with what was wrong.
func protocolError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrProtocol, fmt.Sprintf(format, args...))
}

// writeError sorts the error of writing an INVOKE. The shim calls the handler
// only after it has read the whole frame. If the write fails, the peer's end was
// closed before the last byte was in its buffer, so the frame was never read
// whole.
func writeError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrNotAccepted, err)
}

// readError sorts the error of reading an answer; begun says that some of it
// had come before.
//
// ECONNRESET before any byte of an answer means "not accepted", on unix sockets
// only. When the last descriptor of a unix stream socket is closed while data
// lies unread in its receive queue, Linux gives the other end ECONNRESET; if
// everything was read, it gives plain EOF. There is nothing in that queue but the
// INVOKE just written: every earlier frame was answered, so it was read. Unread
// data is therefore the tail of this INVOKE, and the shim, which calls the
// handler only with the whole frame in hand, has not called it. The same holds
// under gVisor with host-uds: the sentry keeps no buffer of its own for a host
// socket, each read of the application is one recvmsg on the host's descriptor,
// so what the application has not read is still in the host's queue when the
// sentry closes its descriptor. It shuts the socket down first, though, which is
// seen as a plain end: leftUnread tells that apart. Other networks send resets for
// other reasons and get ErrEnded.
func readError(err error, unix, begun bool) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case unix && !begun && errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("%w: %w", ErrNotAccepted, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return ErrEnded
	default:
		return fmt.Errorf("%w: %w", ErrEnded, err)
	}
}

// isUnix says whether c is a unix socket, also where it is wrapped.
func isUnix(c net.Conn) bool {
	a := c.LocalAddr()
	return a != nil && a.Network() == "unix"
}

// The names of the errors that a shim finds itself; an error that a handler
// raised carries the name of its own class.
const (
	TypeNoSuchFile      = "Runtime.NoSuchFile"
	TypeNoSuchHandler   = "Runtime.NoSuchHandler"
	TypeSyntaxError     = "Runtime.SyntaxError"
	TypeImportError     = "Runtime.ImportError"
	TypeNotCallable     = "Runtime.NotCallable"
	TypeNotSerializable = "Runtime.NotSerializable"
	TypeInvalidAnswer   = "Runtime.InvalidAnswer"
	TypeAnswerTooLarge  = "Runtime.AnswerTooLarge"
	TypeBadEvent        = "Runtime.BadEvent"
	TypeExitError       = "Runtime.ExitError"
	TypeCancelled       = "Runtime.Cancelled"
)

// functionError is what the function said as an error to tell a caller.
func functionError(f *cove.FunctionError) *cove.Error {
	code := cove.CodeFunctionError
	switch f.Type {
	case TypeAnswerTooLarge:
		code = cove.CodeResponseTooLarge
	case TypeNotSerializable, TypeInvalidAnswer:
		code = cove.CodeInvalidResponse
	case TypeExitError:
		code = cove.CodeRuntimeExited
	case TypeBadEvent:
		code = cove.CodeInvalid
	}
	return &cove.Error{Code: code, Message: f.Type + ": " + f.Message, Function: f}
}
