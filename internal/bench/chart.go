package bench

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// The charts are drawn 360 wide, as a telephone is, and grow with the page up to
// half as much again. Colours are classes, which the page's style sheet fills for
// light and dark; every line and bar is named in words too.
const (
	chartWidth = 360
	nameWidth  = 76
	valueWidth = 92
	rowHeight  = 17
	headHeight = 20
)

// bar is one of a group: a value, how it is written, and bounds around it where
// there are some.
type bar struct {
	name      string
	value     float64
	text      string
	low, high float64
}

// group is some bars under a heading.
type group struct {
	title string
	bars  []bar
}

// svg collects one chart.
type svg struct {
	strings.Builder
	colours map[string]int
}

func (s *svg) add(format string, args ...any) { fmt.Fprintf(s, format+"\n", args...) }

// colour is the class of a name: the same in all charts of a page.
func (s *svg) colour(name string) string {
	n, ok := s.colours[name]
	if !ok {
		n = len(s.colours)
		s.colours[name] = n
	}
	return fmt.Sprintf("c%d", n%5)
}

func (s *svg) text(x, y float64, class, text string) {
	s.add(`<text x="%.1f" y="%.1f" class="%s">%s</text>`, x, y, class, html.EscapeString(text))
}

// bars draws groups of bars from zero, or on a logarithmic scale from a bit below
// the least value.
func bars(label string, groups []group, logarithmic bool, colours map[string]int) string {
	least, most := math.Inf(1), 0.0
	rows := 0
	for _, g := range groups {
		for _, b := range g.bars {
			if b.value > 0 {
				least, most = min(least, b.value), max(most, b.value, b.high)
			}
			rows++
		}
	}
	if most == 0 {
		return ""
	}
	const room = chartWidth - nameWidth - valueWidth
	at := func(v float64) float64 { return room * v / most }
	if logarithmic {
		floor := least / 2
		at = func(v float64) float64 {
			return room * max(0, math.Log(max(v, floor)/floor)) / math.Log(most/floor)
		}
	}
	s := &svg{colours: colours}
	height := rows*rowHeight + len(groups)*headHeight + 4
	s.add(`<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, chartWidth, height, html.EscapeString(label))
	y := 0.0
	for _, g := range groups {
		s.text(0, y+14, "group", g.title)
		y += headHeight
		for _, b := range g.bars {
			s.text(0, y+12, "name", b.name)
			s.add(`<rect x="%d" y="%.1f" width="%.1f" height="11" rx="2" class="%s"/>`, nameWidth, y+2, max(at(b.value), 1), s.colour(b.name))
			if b.high > b.value {
				s.add(`<path d="M%.1f %.1fH%.1f" class="whisker"/>`, nameWidth+at(b.value), y+7.5, nameWidth+at(b.high))
			}
			s.text(nameWidth+max(at(b.value), at(b.high))+4, y+12, "value", b.text)
			y += rowHeight
		}
	}
	s.add(`</svg>`)
	return s.String()
}

// forest draws ratios with their intervals around 1, on a logarithmic scale.
func forest(label string, groups []group, colours map[string]int) string {
	least, most := 0.9, 1.1
	rows := 0
	for _, g := range groups {
		for _, b := range g.bars {
			if b.value > 0 {
				least, most = min(least, b.value), max(most, b.high, b.value)
				if b.low > 0 {
					least = min(least, b.low)
				}
			}
			rows++
		}
	}
	const room = chartWidth - nameWidth - valueWidth
	at := func(v float64) float64 { return nameWidth + room*math.Log(v/least)/math.Log(most/least) }
	s := &svg{colours: colours}
	height := rows*rowHeight + len(groups)*headHeight + 4
	s.add(`<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, chartWidth, height, html.EscapeString(label))
	s.add(`<path d="M%.1f 0V%d" class="axis"/>`, at(1), height)
	y := 0.0
	for _, g := range groups {
		s.text(0, y+14, "group", g.title)
		y += headHeight
		for _, b := range g.bars {
			s.text(0, y+12, "name", b.name)
			if b.value > 0 {
				if b.low > 0 {
					s.add(`<path d="M%.1f %.1fH%.1f" class="whisker"/>`, at(b.low), y+7.5, at(b.high))
				}
				s.add(`<circle cx="%.1f" cy="%.1f" r="4" class="%s"/>`, at(b.value), y+7.5, s.colour(b.name))
			}
			s.text(chartWidth-valueWidth+6, y+12, "value", b.text)
			y += rowHeight
		}
	}
	s.add(`</svg>`)
	return s.String()
}

// line is a curve of one name.
type line struct {
	name   string
	points [][2]float64
}

// curves draws lines on logarithmic scales. marks are loads at which something is
// to be seen.
func curves(label, xLabel, yLabel string, lines []line, marks []float64, colours map[string]int) string {
	const left, right, top, bottom, height = 44.0, 16.0, 14.0, 34.0, 240.0
	x0, x1, y0, y1 := math.Inf(1), 0.0, math.Inf(1), 0.0
	for _, l := range lines {
		for _, p := range l.points {
			if p[1] > 0 {
				x0, x1, y0, y1 = min(x0, p[0]), max(x1, p[0]), min(y0, p[1]), max(y1, p[1])
			}
		}
	}
	if y1 == 0 {
		return ""
	}
	y0, y1 = math.Pow(10, math.Floor(math.Log10(y0))), math.Pow(10, math.Ceil(math.Log10(y1*1.0001)))
	scale := func(v, a, b, from, to float64) float64 { return from + (to-from)*math.Log(v/a)/math.Log(b/a) }
	x := func(v float64) float64 { return scale(v, x0, x1, left, chartWidth-right) }
	y := func(v float64) float64 { return scale(v, y0, y1, height-bottom, top) }
	s := &svg{colours: colours}
	s.add(`<svg viewBox="0 0 %d %.0f" role="img" aria-label="%s">`, chartWidth, height+float64(len(lines))*16, html.EscapeString(label))
	for e := math.Round(math.Log10(y0)); e <= math.Round(math.Log10(y1)); e++ {
		v := math.Pow(10, e)
		s.add(`<path d="M%.1f %.1fH%.1f" class="grid"/>`, left, y(v), chartWidth-right)
		s.add(`<text x="%.1f" y="%.1f" class="tick" text-anchor="end">%s</text>`, left-4, y(v)+3, plain(v))
	}
	for e := math.Ceil(math.Log10(x0) - 1e-9); math.Pow(10, e) <= x1*1.0001; e++ {
		v := math.Pow(10, e)
		s.add(`<text x="%.1f" y="%.1f" class="tick" text-anchor="middle">%s</text>`, x(v), height-bottom+13, plain(v))
	}
	s.add(`<text x="%.1f" y="%.1f" class="tick" text-anchor="middle">%s</text>`, (left+chartWidth)/2, height-6, html.EscapeString(xLabel))
	s.text(0, 9, "tick", yLabel)
	for _, m := range marks {
		s.add(`<path d="M%.1f %.1fV%.1f" class="mark"/>`, x(m), top, height-bottom)
	}
	for i, l := range lines {
		var path strings.Builder
		for n, p := range l.points {
			command := "L"
			if n == 0 {
				command = "M"
			}
			fmt.Fprintf(&path, "%s%.1f %.1f", command, x(p[0]), y(p[1]))
		}
		s.add(`<path d="%s" class="line %s"/>`, path.String(), s.colour(l.name))
		at := height + float64(i)*16
		s.add(`<rect x="%.1f" y="%.1f" width="14" height="4" class="%s"/>`, left, at+3, s.colour(l.name))
		s.text(left+20, at+9, "name", l.name)
	}
	s.add(`</svg>`)
	return s.String()
}

// plain is a power of ten as people write it.
func plain(v float64) string {
	if v >= 1e6 {
		return fmt.Sprintf("%.0f M", v/1e6)
	}
	if v >= 1 {
		return fmt.Sprintf("%.0f", v)
	}
	return strings.TrimRight(fmt.Sprintf("%.6f", v), "0")
}
