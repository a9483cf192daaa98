package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
)

// read judges the page as one who does not see it meets it: by the accessibility tree,
// the focus, and the words that are announced.
func (w *walk) read(name string) {
	w.t.Helper()
	complain := func(format string, args ...any) {
		w.t.Helper()
		w.t.Errorf("%s (%s): %s", name, w.language, fmt.Sprintf(format, args...))
	}
	count := map[string]int{}
	for _, n := range call(w.tab, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes {
		if n.Ignored {
			continue
		}
		role := said(n.Role)
		count[role]++
		if role != "RootWebArea" && said(n.Name) == "" && is(n, accessibility.PropertyNameFocusable) {
			complain("a %s that can have the focus has no name", role)
		}
		if role == "heading" && level(n) == "1" {
			count["h1"]++
		}
	}
	for role, want := range map[string]int{"h1": 1, "main": 1} {
		if count[role] != want {
			complain("%d of %s, want %d", count[role], role, want)
		}
	}
	for _, problem := range eval[[]string](w.tab, spoken) {
		complain("%s", problem)
	}
	for _, scheme := range []string{"light", "dark"} {
		w.prefer(scheme)
		if faint := eval[[]string](w.tab, faintText); len(faint) > 0 {
			complain("in %s, text with a contrast below 4.5: %q", scheme, faint)
		}
	}
	w.prefer("light")
}

// prefer is the setting of the device.
func (w *walk) prefer(scheme string) {
	w.t.Helper()
	call(w.tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
}

// said is a value of the accessibility tree as text.
func said(v *accessibility.Value) string {
	if v == nil {
		return ""
	}
	var text any
	if json.Unmarshal(v.Value, &text) != nil || text == nil {
		return ""
	}
	return strings.TrimSpace(fmt.Sprint(text))
}

func is(n *accessibility.Node, name accessibility.PropertyName) bool {
	return slices.ContainsFunc(n.Properties, func(p *accessibility.Property) bool { return p.Name == name && said(p.Value) == "true" })
}

func level(n *accessibility.Node) string {
	for _, p := range n.Properties {
		if p.Name == accessibility.PropertyNameLevel {
			return said(p.Value)
		}
	}
	return ""
}

// spoken finds what a screen reader would not say, or not at the right moment: headings
// that skip a level; an error that is not announced, does not begin the title, or is tied
// to no field of those that it may be about; a focus that does not begin at the field, but
// where steps to be read come first.
const spoken = `(() => {
	const problems = [], shown = e => e.getClientRects().length > 0;
	let last = 0;
	for (const h of document.querySelectorAll("h1, h2, h3, h4")) {
		const level = Number(h.tagName[1]);
		if (level > last + 1) problems.push("the heading " + h.textContent.trim() + " skips a level");
		last = level;
	}
	for (const e of document.querySelectorAll("[aria-describedby], [aria-labelledby], [aria-controls], label[for]")) {
		for (const name of ["aria-describedby", "aria-labelledby", "aria-controls", "for"])
			for (const id of (e.getAttribute(name) || "").split(" ").filter(Boolean))
				if (!document.getElementById(id)) problems.push(name + " names #" + id + ", which is not on the page");
	}
	const ids = Array.from(document.querySelectorAll("[id]")).map(e => e.id);
	for (const id of ids.filter((id, i) => ids.indexOf(id) !== i)) problems.push("#" + id + " is there twice");
	const fields = Array.from(document.querySelectorAll("input:not([type=hidden]), select")).filter(e => shown(e) && !e.readOnly);
	const error = document.querySelector("#error");
	if (error) {
		if (error.getAttribute("role") !== "alert") problems.push("the error is not announced");
		const begins = document.title.split(" ")[0];
		if (!begins.endsWith(":")) problems.push("the title does not begin with the error's word: " + document.title);
		if (fields.length && !fields.some(e => (e.getAttribute("aria-describedby") || "").split(" ").includes("error")))
			problems.push("the error is tied to no field");
	}
	const focus = document.activeElement, auto = document.querySelector("[autofocus]");
	if (auto && shown(auto) && focus !== auto) problems.push("the focus begins at " + (focus.id || focus.tagName) + ", not at " + auto.id);
	if (fields.length && fields.length < 4 && fields.every(e => e.type !== "checkbox" && e.tagName !== "SELECT") && !fields.includes(focus) && !document.querySelector(".steps"))
		problems.push("no field has the focus at first: " + fields.map(e => e.id));
	return problems;
})()`

// faintText names the text whose colour is too near to what lies under it (WCAG 2.2
// §1.4.3). Buttons that are off are left out, as they are there.
const faintText = `(() => {
	const parse = s => (s.match(/[\d.]+/g) || []).map(Number);
	const light = c => { const [r, g, b] = c.slice(0, 3).map(v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
	const under = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] === 1) return c; } return [255, 255, 255]; };
	const faint = [];
	const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let n; (n = walker.nextNode());) {
		const e = n.parentElement;
		if (!n.data.trim() || !e.getClientRects().length || e.closest(":disabled, script, noscript, style")) continue;
		const a = light(parse(getComputedStyle(e).color)), b = light(under(e));
		const contrast = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
		if (contrast < 4.5) faint.push(n.data.trim() + " " + contrast.toFixed(2));
	}
	return faint;
})()`
