package runtime

import (
	"encoding/binary"
	"encoding/json"
	"strconv"

	"github.com/covefn/cove"
)

// FrameType says what a frame of the runtime protocol is. The protocol is
// described in docs/runtime-protocol.md.
type FrameType uint8

// Frames from the host to the shim.
const (
	FrameInit     FrameType = 0x01
	FrameInvoke   FrameType = 0x02
	FrameShutdown FrameType = 0x03
	// FrameCancel and FrameCredit are for calls of an instance that serves
	// several at once.
	FrameCancel FrameType = 0x04
	FrameCredit FrameType = 0x05
	// FrameCompile is for a stem cell that compiles a package in place of INIT.
	FrameCompile FrameType = 0x06
)

// Frames from the shim to the host.
const (
	FrameHello     FrameType = 0x81
	FrameReady     FrameType = 0x82
	FrameInitError FrameType = 0x83
	FrameResult    FrameType = 0x84
	FrameError     FrameType = 0x85
	FrameStream    FrameType = 0x86
	FrameChunk     FrameType = 0x87
	FrameEnd       FrameType = 0x88
	FramePrepared  FrameType = 0x89
	FrameFile      FrameType = 0x8a
	FrameCompiled  FrameType = 0x8b
)

// The limits of the protocol, in bytes.
const (
	// MaxFrame bounds the length field of every frame: type, id and body.
	MaxFrame = 7 << 20
	// MaxPayload bounds the payload of an INVOKE and of a RESULT.
	MaxPayload = 6 << 20
	// MaxHead bounds the JSON before a payload, so that a frame of the largest
	// head and the largest payload is still within MaxFrame.
	MaxHead = MaxFrame - MaxPayload - 64
	// MaxChunk bounds one piece of a streamed answer.
	MaxChunk = 1 << 20
	// MaxError bounds the JSON of HELLO, INIT_ERROR, ERROR and a broken END.
	MaxError = 256 << 10
	// Window is how much of one streamed answer may be on its way to a caller of
	// an instance that serves several calls at once: the host grants more by
	// CREDIT as it is read, so that a caller who reads slowly holds up only his own
	// answer. It bounds the memory that the host has for it.
	Window = 256 << 10
)

const (
	// headerSize is the length field, the type and the id.
	headerSize = 4 + lengthExtra
	// lengthExtra is what the length field counts beside the body.
	lengthExtra = 1 + 8
)

// beginFrame appends a frame's header whose length is filled in by endFrame.
func beginFrame(b []byte, t FrameType, id uint64) []byte {
	b = append(b, 0, 0, 0, 0, byte(t))
	return binary.BigEndian.AppendUint64(b, id)
}

// endFrame fills in the length of the frame that is all of b, followed by
// extra bytes that are written separately.
func endFrame(b []byte, extra int) {
	binary.BigEndian.PutUint32(b, uint32(len(b)-4+extra))
}

// appendInvokeHead appends the JSON of inv. It is written by hand because it is
// on the path of every request: encoding/json would validate and copy the event
// once more, at ten times the cost.
func appendInvokeHead(b []byte, inv *Invoke, timeoutMS int64) []byte {
	b = append(b, `{"kind":`...)
	b = appendString(b, string(inv.Kind))
	b = append(b, `,"request_id":`...)
	b = appendString(b, inv.RequestID)
	b = append(b, `,"timeout_ms":`...)
	b = strconv.AppendInt(b, timeoutMS, 10)
	b = append(b, `,"marker":`...)
	b = appendString(b, inv.Marker)
	if inv.Trace != "" {
		b = append(b, `,"trace":`...)
		b = appendString(b, inv.Trace)
	}
	if inv.Kind == cove.KindHTTP && len(inv.Event) > 0 {
		b = append(b, `,"event":`...)
		b = append(b, inv.Event...)
	}
	return append(b, '}')
}

// appendString appends s as a JSON string. Control characters are escaped here,
// because every marker begins with one; what is rarer is left to encoding/json.
func appendString(b []byte, s string) []byte {
	start := len(b)
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', '0'+c>>4, hexDigits[c&0xf])
		case c >= 0x7f || c == '"' || c == '\\':
			quoted, err := json.Marshal(s)
			if err != nil { // A string always marshals.
				quoted = []byte(`""`)
			}
			return append(b[:start], quoted...)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

const hexDigits = "0123456789abcdef"
