package deploy

import (
	"fmt"
	"testing"
)

func BenchmarkDeployCode(b *testing.B) {
	f := setup(b)
	f.create(b, config("hello"))
	i := 0
	for b.Loop() {
		i++
		f.update(b, "hello", Change{Code: files(fmt.Sprint(i))})
	}
}

func Benchmark10000(b *testing.B) {
	f := setup(b)
	for i := range 10_000 {
		if _, err := f.Create(b.Context(), config(fmt.Sprintf("f%05d", i)), Code{}); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("list a page", func(b *testing.B) {
		for b.Loop() {
			if _, total, err := f.List(b.Context(), Query{After: "f05000"}); total != 10_000 || err != nil {
				b.Fatal(total, err)
			}
		}
	})
	b.Run("search", func(b *testing.B) {
		for b.Loop() {
			if _, total, err := f.List(b.Context(), Query{Search: "0999"}); total != 11 || err != nil {
				b.Fatal(total, err)
			}
		}
	})
	b.Run("active", func(b *testing.B) {
		for b.Loop() {
			if f.Active("f05000") == nil {
				b.Fatal("none")
			}
		}
	})
	b.Run("start", func(b *testing.B) {
		for b.Loop() {
			f.restart(b, f.db)
		}
	})
}
