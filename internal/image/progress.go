package image

import "io"

// Progress is told how a long piece of work goes on. It is called by one
// goroutine at a time.
type Progress interface {
	// Step says in a few words what begins now.
	Step(text string)
	// Bytes says how much of the step is done; total is 0 when nobody knows.
	Bytes(done, total int64)
}

// Quiet is a Progress that tells nobody.
type Quiet struct{}

// Step does nothing.
func (Quiet) Step(string) {}

// Bytes does nothing.
func (Quiet) Bytes(int64, int64) {}

// counter is a reader that reports what goes through it.
type counter struct {
	io.Reader
	done, total int64
	progress    Progress
	// moved is called after every read that brought something.
	moved func()
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if n > 0 {
		c.done += int64(n)
		c.progress.Bytes(c.done, c.total)
		c.moved()
	}
	return n, err
}
