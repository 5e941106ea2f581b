package bench

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"regexp"
)

// A plot is a picture of one figure, a row for each subject. It is written as SVG
// that needs nothing else, follows the reader's light or dark, and says in words
// what it shows to those who do not see it.
type plot struct {
	title  string
	rows   []plotRow
	format func(float64) string
	log    bool   // the axis: logarithmic, or linear from 0
	key    string // what the marks are
}

// A plotRow is a bar up to to, or where from is above 0 a line between the two.
type plotRow struct {
	label    string
	from, to float64
	own      bool // ours: in another colour
	least    bool // more was not tried
}

// Measures of the picture, in pixels.
const (
	plotWidth  = 760
	plotLeft   = 264 // of the area, after the labels
	plotRight  = plotWidth - 96
	plotTop    = 58
	plotRowGap = 30
	plotBottom = 36
)

const plotStyle = `<style>
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; }
.title { font-size: 15px; font-weight: 600; }
.quiet { fill: #59636e; font-size: 12px; }
.grid { stroke: #d1d9e0; }
.other { fill: #818b98; stroke: #818b98; }
.own { fill: #0969da; stroke: #0969da; }
.own-label { font-weight: 600; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; }
.quiet { fill: #9198a1; }
.grid { stroke: #3d444d; }
.own { fill: #4493f8; stroke: #4493f8; }
}
</style>
`

// svg draws the plot.
func (p plot) svg() []byte {
	height := plotTop + len(p.rows)*plotRowGap + plotBottom
	a := p.axis()
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-labelledby="t d">`+"\n", plotWidth, height, plotWidth, height)
	fmt.Fprintf(&b, `<title id="t">%s</title>`+"\n"+`<desc id="d">%s</desc>`+"\n", escaped(p.title), escaped(p.inWords()))
	b.WriteString(plotStyle)
	fmt.Fprintf(&b, `<text class="title" x="0" y="18">%s</text>`+"\n"+`<text class="quiet" x="0" y="38">%s</text>`+"\n", escaped(p.title), escaped(p.key))
	bottom := plotTop + len(p.rows)*plotRowGap
	for _, t := range a.ticks() {
		x := a.at(t)
		fmt.Fprintf(&b, `<line class="grid" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>`+"\n", x, plotTop-6, x, bottom)
		fmt.Fprintf(&b, `<text class="quiet" x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", x, bottom+20, escaped(roundTick(p.format(t))))
	}
	for i, r := range p.rows {
		p.row(&b, a, r, plotTop+i*plotRowGap+plotRowGap/2)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func (p plot) row(b *bytes.Buffer, a axis, r plotRow, y int) {
	class, label := "other", ""
	if r.own {
		class, label = "own", ` class="own-label"`
	}
	fmt.Fprintf(b, `<text%s x="%d" y="%d" text-anchor="end">%s</text>`+"\n", label, plotLeft-12, y+4, escaped(r.label))
	to, text := a.at(r.to), atLeast(r.least)+p.format(r.to)
	if r.from > 0 {
		from := a.at(r.from)
		fmt.Fprintf(b, `<line class="%s" x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke-width="3"/>`+"\n", class, from, y, to, y)
		fmt.Fprintf(b, `<circle class="%s" cx="%.1f" cy="%d" r="5"/><rect class="%s" x="%.1f" y="%d" width="4" height="14"/>`+"\n", class, from, y, class, to-2, y-7)
	} else {
		fmt.Fprintf(b, `<rect class="%s" x="%d" y="%d" width="%.1f" height="16"/>`+"\n", class, plotLeft, y-8, max(to-plotLeft, 1))
	}
	fmt.Fprintf(b, `<text class="quiet" x="%.1f" y="%d">%s</text>`+"\n", to+9, y+4, escaped(text))
}

// roundTick is a tick's text without decimals that say nothing.
func roundTick(text string) string { return emptyDecimals.ReplaceAllString(text, "$1") }

var emptyDecimals = regexp.MustCompile(`\.0+( |$)`)

// inWords says what the rows show.
func (p plot) inWords() string {
	words := p.key + "."
	for _, r := range p.rows {
		if r.from > 0 {
			words += fmt.Sprintf(" %s: %s to %s.", r.label, p.format(r.from), p.format(r.to))
		} else {
			words += fmt.Sprintf(" %s: %s.", r.label, atLeast(r.least)+p.format(r.to))
		}
	}
	return words
}

// atLeast stands before a figure beyond which nothing was tried.
func atLeast(is bool) string {
	if is {
		return "≥ "
	}
	return ""
}

// escaped is text as it stands in XML.
func escaped(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text)) // a buffer takes everything
	return b.String()
}

// An axis maps values to pixels.
type axis struct {
	low, high float64
	log       bool
}

// axis is the one on which all rows fit: from 0 to a round number, or between two
// powers of ten.
func (p plot) axis() axis {
	low, high := math.Inf(1), 0.0
	for _, r := range p.rows {
		high = max(high, r.to)
		if r.from > 0 {
			low = min(low, r.from)
		}
		low = min(low, r.to)
	}
	if high <= 0 {
		high = 1
	}
	if p.log && low > 0 {
		return axis{math.Pow(10, math.Floor(math.Log10(low))), math.Pow(10, math.Ceil(math.Log10(high*1.0001))), true}
	}
	step := niceStep(high)
	return axis{0, math.Ceil(high/step) * step, false}
}

// niceStep is a step of 1, 2 or 5 times a power of ten, at most five of which
// reach up to high.
func niceStep(high float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(high/5)))
	for _, factor := range []float64{1, 2, 5} {
		if high/(factor*power) <= 5 {
			return factor * power
		}
	}
	return 10 * power
}

func (a axis) at(v float64) float64 {
	share := (v - a.low) / (a.high - a.low)
	if a.log {
		share = math.Log(v/a.low) / math.Log(a.high/a.low)
	}
	return plotLeft + share*(plotRight-plotLeft)
}

func (a axis) ticks() []float64 {
	var out []float64
	if a.log {
		for v := a.low; v <= a.high*1.0001; v *= 10 {
			out = append(out, v)
		}
		return out
	}
	step := niceStep(a.high)
	for i := 0.0; i*step <= a.high*1.0001; i++ {
		out = append(out, i*step)
	}
	return out
}
