package runtime

// FrameType says what a frame of the runtime protocol is. The protocol is
// described in docs/runtime-protocol.md.
type FrameType uint8

// Frames from the host to the shim.
const (
	FrameInit     FrameType = 0x01
	FrameInvoke   FrameType = 0x02
	FrameShutdown FrameType = 0x03
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
)
