package scale

import (
	"time"

	"github.com/covefn/cove"
)

// Worth says how much would be lost with an idle instance: the time that starting
// it again takes, by how likely that is to be needed, for each byte that ending it
// gives back. The longer it has been idle the less likely it is wanted next. This
// is the cost of GreedyDual-Size-Frequency as FaasCache (ASPLOS'21) uses it for
// keeping instances, with the time since the last use for the frequency. Only
// comparing two results means anything.
func Worth(idle, startTook time.Duration, memory cove.ByteSize) float64 {
	const unknown = 300 * time.Millisecond // A start that was never measured.
	if startTook <= 0 {
		startTook = unknown
	}
	return startTook.Seconds() / (idle.Seconds() + 0.001) / float64(max(memory, 1))
}
