//go:build race

package invoke_test

// warmAllocs is two more under the race detector, where buffers to read into are
// not on the stack, and now and then one more, as sync.Pool forgets some then.
const warmAllocs = 13
