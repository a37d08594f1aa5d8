package runtime

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"syscall"

	"github.com/covefn/cove"
)

// header reads the header of the next frame; n is the length of its body.
func (c *Conn) header() (t FrameType, id uint64, n int, err error) {
	b, err := c.body(headerSize)
	if err != nil {
		return 0, 0, 0, err
	}
	length := binary.BigEndian.Uint32(b)
	if length < lengthExtra || length > MaxFrame {
		return 0, 0, 0, protocolError("a frame of %d bytes", length)
	}
	return FrameType(b[4]), binary.BigEndian.Uint64(b[5:]), int(length) - lengthExtra, nil
}

// body is the next n bytes of the stream, valid until the next read. The caller
// has checked n against the limit of what it reads.
func (c *Conn) body(n int) ([]byte, error) {
	if n > bufferSize {
		if cap(c.chunk) < n {
			c.chunk = make([]byte, n)
		}
		b := c.chunk[:n]
		return b, c.readFull(b)
	}
	if err := c.fill(n); err != nil {
		return nil, err
	}
	b := c.buf[c.r : c.r+n : c.r+n]
	c.r += n
	return b, nil
}

// fill reads until at least n bytes are in the buffer.
func (c *Conn) fill(n int) error {
	if c.buf == nil {
		c.buf = buffers.Get().(*[bufferSize]byte)
	}
	if c.r+n > bufferSize {
		c.w = copy(c.buf[:], c.buf[c.r:c.w])
		c.r = 0
	}
	for c.w-c.r < n {
		got, err := c.c.Read(c.buf[c.w:])
		c.w += got
		c.begun = c.begun || got > 0
		if err != nil && c.w-c.r < n {
			if c.unix && !c.begun && errors.Is(err, io.EOF) && leftUnread(c.c) {
				err = syscall.ECONNRESET
			}
			return readError(err, c.unix, c.begun)
		}
	}
	return nil
}

// readFull fills b from the buffer first and then straight from the stream.
func (c *Conn) readFull(b []byte) error {
	if c.buf != nil {
		n := copy(b, c.buf[c.r:c.w])
		c.r += n
		b = b[n:]
	}
	if len(b) == 0 {
		return nil
	}
	if _, err := io.ReadFull(c.c, b); err != nil {
		return readError(err, c.unix, true)
	}
	return nil
}

// functionError reads the body of an INIT_ERROR, an ERROR or a broken END.
func (c *Conn) functionError(n int) (*cove.FunctionError, error) {
	if n > MaxError {
		return nil, protocolError("an error of %d bytes", n)
	}
	b, err := c.body(n)
	if err != nil {
		return nil, err
	}
	f := &cove.FunctionError{}
	if err := json.Unmarshal(b, f); err != nil {
		return nil, protocolError("an error that is no JSON: %v", err)
	}
	if f.Type == "" {
		f.Type = "Error"
	}
	return f, nil
}
