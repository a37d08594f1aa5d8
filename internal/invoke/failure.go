package invoke

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/runtime"
)

// failed finds out what went wrong in a call, ends the instance where it must
// not serve again, and says what to tell the caller. retry is set when the
// handler certainly did not run and another attempt may follow.
func (c *call) failed(err error) (_ *cove.Error, retry bool) {
	var function *cove.Error
	switch {
	case errors.As(err, &function):
		if function.Code == cove.CodeTooLarge {
			c.segment.Withdraw() // Nothing was sent, so no marker will come.
		}
		return function, false

	case errors.Is(err, os.ErrDeadlineExceeded):
		return c.timedOut(), false

	case c.service.o.Pool.Closed():
		c.lease.Break("shutdown")
		return cove.Errorf(cove.CodeShuttingDown, "Cove was shut down before the function had answered"), false

	case errors.Is(err, runtime.ErrNotAccepted) && (!c.last || errors.Is(err, runtime.ErrGivenUp)):
		// Another instance answers: how this one ended is not awaited, and in
		// this request's log nothing has. What others do on it goes on.
		c.lease.Abandon("ended before a request")
		return nil, true

	case errors.Is(err, runtime.ErrProtocol):
		c.lease.Break("protocol broken")
		c.lastLine("The runtime protocol was broken: " + err.Error())
		return &cove.Error{Code: cove.CodeInvalidResponse, Message: "something in the function wrote into the platform's own connection", Err: err}, false

	default: // The stream ended.
		exit, late := c.lease.Ending(c.deadline)
		c.record.Timings.Run = time.Since(c.began)
		c.measure()
		if late {
			return c.timedOut(), false
		}
		c.lease.Break("ended in a request")
		c.awaitLog()
		return c.exited(exit), false
	}
}

// timedOut ends a call at its deadline.
func (c *call) timedOut() *cove.Error {
	c.lease.Abandon("timeout")
	c.lastLine(fmt.Sprintf("Task timed out after %.2f seconds", c.timeout.Seconds()))
	if c.timeout < c.r.Version.Config.Timeout.Std() {
		return cove.Errorf(cove.CodeTimeout, "the function had not answered when the caller's own time (Cove-Timeout) was over")
	}
	return cove.Errorf(cove.CodeTimeout, "the function did not answer within %s", cove.Duration(c.timeout))
}

// asTold is the error of a sink that found the answer itself to be at fault; nil
// for one that only says that the caller has gone.
func asTold(err error) *cove.Error {
	var e *cove.Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}
