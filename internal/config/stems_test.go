package config

import (
	"testing"

	"github.com/covefn/cove"
)

func TestStemCellsAreSizedByDemandOrByANumber(t *testing.T) {
	c, err := load(t)
	if err != nil || c.Stems != AutoStems || c.StemMemory.Of(cove.GiB) != cove.GiB/10 {
		t.Errorf("the defaults are %v and %v of 1GiB, %v", c.Stems, c.StemMemory.Of(cove.GiB), err)
	}
	t.Setenv("COVE_STEMS", "3")
	c, err = load(t, "--config", writeFile(t, `stem_memory = "64MiB"`))
	if err != nil || c.Stems != 3 || c.StemMemory.Of(cove.GiB) != 64*cove.MiB || c.StemMemory.Of(cove.MiB) != cove.MiB {
		t.Errorf("got %v and %v, %v", c.Stems, c.StemMemory, err)
	}
	if c, err = load(t, "--stems", "auto", "--stem-memory", "2.5 %"); err != nil || c.Stems != AutoStems || c.StemMemory.Of(1000) != 25 {
		t.Errorf("got %v and %v, %v", c.Stems, c.StemMemory, err)
	}
	if c, err = load(t, "--stem-memory", "auto"); err != nil || c.StemMemory != AutoShare() || c.StemMemory.Stretch(1000) != 250 {
		t.Errorf("got %v, %v", c.StemMemory, err)
	}
	if c, err = load(t, "--stem-memory", "10%"); err != nil || c.StemMemory.Stretch(1000) != 0 {
		t.Errorf("what was set grows by itself: %v, %v", c.StemMemory, err)
	}
	if c, err = load(t, "--stems", "0", "--stem-memory", "0"); err != nil || c.Stems != 0 || c.StemMemory.Of(cove.GiB) != 0 {
		t.Errorf("got %v and %v, %v", c.Stems, c.StemMemory, err)
	}
}

func FuzzShare(f *testing.F) {
	for _, s := range []string{"auto", "10%", "2.5 %", "0", "512MiB", "100%", "-1%", "NaN%", "1e-400%", "%", "1GB"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var s, again Share
		if s.UnmarshalText([]byte(text)) != nil {
			return
		}
		if part := s.Of(cove.GiB); part < 0 || part > cove.GiB {
			t.Errorf("%q of 1GiB is %d", text, part)
		}
		written, err := s.MarshalText()
		if err != nil || again.UnmarshalText(written) != nil || again != s {
			t.Errorf("%q is written %q, which is read as %+v instead of %+v", text, written, again, s)
		}
	})
}
