package e2e

import (
	"crypto/sha256"
	"strconv"

	"github.com/covefn/cove"
)

// languages are the runtimes, each with the file that a handler is in.
var languages = map[string]string{"python": "main.py", "node": "index.js"}

// function is a configuration whose route is /NAME.
func function(name, runtime, isolation string) cove.Config {
	return cove.Config{Name: name, Runtime: runtime, Isolation: isolation, Route: "/" + name, Memory: 128 * cove.MiB}
}

// echo answers what it was sent, and marks the answer as its own.
func echo(runtime, mark string) files {
	return files{languages[runtime]: map[string]string{
		"python": `
def handler(event, context):
    return {"statusCode": 200, "headers": {"x-mark": "` + mark + `"}, "body": event.get("body") or ""}
`,
		"node": `
exports.handler = async (event) => ({ statusCode: 200, headers: { 'x-mark': '` + mark + `' }, body: event.body ?? '' });
`,
	}[runtime]}
}

// sleeper says that it begins, sleeps for the seconds in the query (or in the
// event, for a direct call), and answers "slept".
func sleeper(runtime string) files {
	return files{languages[runtime]: map[string]string{
		"python": `
import time

def handler(event, context):
    print("sleeping", flush=True)
    time.sleep(float((event.get("queryStringParameters") or event)["s"]))
    return {"statusCode": 200, "body": "slept"}
`,
		"node": `
exports.handler = async (event) => {
  console.log('sleeping');
  await new Promise((done) => setTimeout(done, 1000 * Number((event.queryStringParameters ?? event).s)));
  return { statusCode: 200, body: 'slept' };
};
`,
	}[runtime]}
}

// constant answers the number n.
func constant(runtime string, n int) files {
	text := strconv.Itoa(n)
	return files{languages[runtime]: map[string]string{
		"python": "def handler(event, context):\n    return " + text + "\n",
		"node":   "exports.handler = async () => " + text + ";\n",
	}[runtime]}
}

func sha256Sum(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}
