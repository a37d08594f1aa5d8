//go:build !race

package invoke_test

// warmAllocs is how many pieces of memory a warm call takes: the record and its
// texts, the call, the lease, the log's segment and its channel, the answer with its
// head and its body, and what waits for it.
const warmAllocs = 10
