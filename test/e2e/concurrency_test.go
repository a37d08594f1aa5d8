package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
)

// meeting are handlers that serve three requests on one instance. "meet" answers
// when all three of a party are there, which is never where they are served one
// after the other; "long" outlives every deadline and "short" does not. All
// print what they do.
var meeting = map[string]struct {
	language string
	code     files
}{
	"promises": {"node", files{"index.js": `
const fs = require('node:fs')
const nap = ms => new Promise(resolve => setTimeout(resolve, ms))
exports.handler = async ({ do: what, id, party }) => {
  console.log(id + ' comes')
  if (what === 'long') await nap(3_600_000)
  if (what === 'short') await nap(1000)
  if (what === 'meet') {
    fs.writeFileSync('/tmp/' + party + '-' + id, '')
    while (fs.readdirSync('/tmp').filter(f => f.startsWith(party + '-')).length < 3) {
      await nap(5)
      console.log(id + ' waits')
    }
  }
  console.log(id + ' goes')
  return { id }
}
`}},
	"coroutines": {"python", files{"main.py": `
import asyncio, os

async def handler(event, context):
    id, party = event["id"], event["party"]
    print(id, "comes")
    if event["do"] == "long":
        await asyncio.sleep(3600)
    if event["do"] == "short":
        await asyncio.sleep(1)
    if event["do"] == "meet":
        open(f"/tmp/{party}-{id}", "w").close()
        while sum(f.startswith(party + "-") for f in os.listdir("/tmp")) < 3:
            await asyncio.sleep(0.005)
            print(id, "waits")
    print(id, "goes")
    return {"id": id}
`}},
	"plain functions": {"python", files{"main.py": `
import os, time

def handler(event, context):
    id, party = event["id"], event["party"]
    print(id, "comes")
    if event["do"] == "long":
        while True:
            pass
    if event["do"] == "short":
        time.sleep(1)
    if event["do"] == "meet":
        open(f"/tmp/{party}-{id}", "w").close()
        while sum(f.startswith(party + "-") for f in os.listdir("/tmp")) < 3:
            time.sleep(0.005)
            print(id, "waits")
    print(id, "goes")
    return {"id": id}
`}},
}

// longTimeout is that of the functions that meet. A short call begins shortly
// before a long one is over, and ends after it.
const longTimeout = 2 * time.Second

// An instance that serves three requests at once gives each its own answer and
// its own log, and one that runs past its deadline takes nothing from the others.
func TestConcurrencyOnOneInstance(t *testing.T) {
	h := start(t, options{})
	for _, isolation := range isolations {
		for kind, m := range meeting {
			t.Run(isolation+"/"+kind, func(t *testing.T) {
				t.Parallel()
				cfg := function(strings.ReplaceAll(kind, " ", "-")+"-"+isolation, m.language, isolation)
				cfg.Timeout = cove.Duration(longTimeout)
				cfg.Scaling.Concurrency, cfg.Scaling.Max = 3, 1
				h.deploy(t, cfg, m.code)
				h.threeAtOnce(t, cfg.Name)
				h.oneTooLong(t, cfg.Name)
				h.threeAtOnce(t, cfg.Name)
				h.remove(t, cfg.Name)
			})
		}
	}
}

// threeAtOnce sends parties of three, one after the other.
func (h *harness) threeAtOnce(t *testing.T, name string) {
	t.Helper()
	for party := range 5 {
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				h.answersItsOwn(t, name, "meet", fmt.Sprintf("%d%d-%d", time.Now().UnixNano(), party, i), fmt.Sprintf("p%d", party))
			})
		}
		wg.Wait()
	}
}

// answersItsOwn makes one call and checks that the answer and every line of the
// log are its own. It returns the record.
func (h *harness) answersItsOwn(t *testing.T, name, do, id, party string) cove.Invocation {
	t.Helper()
	r := h.invoke(t, name, fmt.Sprintf(`{"do":%q,"id":%q,"party":%q}`, do, id, party))
	var got struct{ ID string }
	if r.Outcome != cove.OutcomeOK || json.Unmarshal(r.Answer, &got) != nil || got.ID != id {
		t.Errorf("%s was answered %s %s %+v", id, r.Outcome, r.Answer, r.Error)
	}
	lines := r.Logs
	eventually(t, 5*time.Second, func() string { // The answer waits for the log's end, but not for long.
		if n := len(lines); n > 1 && lines[0].Text == id+" comes" && lines[n-1].Text == id+" goes" {
			return ""
		}
		var texts []string
		lines = nil
		for _, text := range h.invocationLog(t, name, r.RequestID) {
			lines, texts = append(lines, wire.LogLine{Text: text}), append(texts, text)
		}
		return fmt.Sprintf("the log of %s is %q", id, texts)
	})
	if i := slices.IndexFunc(lines, func(l wire.LogLine) bool { return !strings.HasPrefix(l.Text, id+" ") }); i >= 0 {
		t.Errorf("the log of %s has %q", id, lines[i].Text)
	}
	return r.Invocation
}

// oneTooLong lets one of three calls run past its deadline, when the others have
// begun and have not ended.
func (h *harness) oneTooLong(t *testing.T, name string) {
	t.Helper()
	var wg sync.WaitGroup
	var long wire.Result
	wg.Go(func() {
		began := time.Now()
		long = h.invoke(t, name, `{"do":"long","id":"long","party":""}`)
		if took := time.Since(began); long.Outcome != string(cove.CodeTimeout) || took < longTimeout || took > longTimeout+lateness {
			t.Errorf("the call that takes too long ended after %s: %s %s %+v", took, long.Outcome, long.Answer, long.Error)
		}
	})
	time.Sleep(longTimeout - 500*time.Millisecond)
	var others [2]cove.Invocation
	for i := range others {
		wg.Go(func() { others[i] = h.answersItsOwn(t, name, "short", fmt.Sprintf("short%d", i), "") })
	}
	wg.Wait()
	for _, o := range others {
		if o.Instance != long.Invocation.Instance {
			t.Errorf("%s was served by %s, and the call that took too long by %s", o.ID, o.Instance, long.Invocation.Instance)
		}
	}
	// The log of a handler that does not heed that it is given up ends with the
	// instance.
	eventually(t, 10*time.Second, func() string {
		lines := h.invocationLog(t, name, long.RequestID)
		if len(lines) < 2 || lines[0] != "long comes" || lines[len(lines)-1] != "Task timed out after 2.00 seconds" ||
			strings.Contains(strings.Join(lines, " "), "short") {
			return fmt.Sprintf("the log of the call that took too long is %q", lines)
		}
		return ""
	})
	if a := h.do(t, request{Path: "/" + name}); a.Status == http.StatusServiceUnavailable {
		t.Errorf("afterwards there is no instance: %s", a.Body)
	}
}
