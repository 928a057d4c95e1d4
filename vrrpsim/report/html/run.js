/* The page of one run. */
function bars(parts) {
  const known = parts.filter(([, size]) => size !== null), all = known.reduce((sum, [, size]) => sum + size, 0) || 1;
  const longest = Math.max(...known.map(([, size]) => size));
  let gone = 0;
  const rows = known.map(([name, size, keyword]) => {
    const bar = el("div", { class: "bar" });
    bar.style.left = `${(100 * gone) / all}%`;
    bar.style.width = `${(100 * size) / all}%`;
    gone += size;
    return el("div", { class: `part${size === longest ? " blamed" : ""}`, role: "listitem" }, el("span", {}, name), el("div", { class: "track", "aria-hidden": "true" }, bar),
      el("span", { class: "length" }, length(size)), el("span", { class: "keyword" }, keyword || "", size === longest && known.length > 1 ? ` (${Math.round((100 * size) / all)} %)` : ""));
  });
  return el("div", { role: "list" }, rows);
}
function outage() {
  const one = DATA.outage;
  if (!one) return null;
  return card("Longest outage: why it lasted", el("div", { class: "fall" }, el("p", { class: "row" }, el("b", {}, `client ${one.client}`),
    el("span", { class: "dim" }, `from ${clockTime(one.start)} to ${one.ended ? clockTime(one.end) : "the end"}`), el("b", { class: "push" }, length(one.end - one.start))),
    bars(one.parts), el("button", { type: "button", class: "link", onclick: () => focusOn(one.start, one.end) }, "Show on the timeline")));
}
function failovers() {
  if (!DATA.failovers.length) return null;
  const one = (each) => {
    const end = each.fault + (each.total ?? each.owner - each.fault);
    return el("details", { class: "fall", open: each.main || DATA.failovers.length <= 4 }, el("summary", {}, el("span", { class: "row" }, el("b", {}, `${each.label}: ${each.from} → ${each.to}`),
      el("span", { class: "dim" }, each.kind), el("span", {}, `after “${each.cause}”`), el("span", { class: "dim" }, `at ${clockTime(each.fault)}`), el("b", { class: "push" }, each.total === null ? "no client was served" : length(each.total)))),
      bars(each.parts), el("button", { type: "button", class: "link", onclick: () => focusOn(each.fault, end) }, "Show on the timeline"));
  };
  return card("Failovers: where the time went, and the keyword that decides it", DATA.failovers.map(one),
    DATA.more_failovers ? el("p", { class: "dim" }, `The ${DATA.failovers.length} slowest of ${DATA.failovers.length + DATA.more_failovers}.`) : null);
}
function expectations() {
  if (!DATA.expectations.length) return null;
  const rows = DATA.expectations.map((each) => el("tr", {}, el("td", {}, answer(each.ok)), el("td", {}, each.wanted), el("td", {}, each.measured || DASH),
    el("td", {}, each.span ? el("button", { type: "button", class: "link", "aria-label": `Show ${each.wanted}`, onclick: () => focusOn(...each.span) }, "show") : "")));
  return card("Expectations", el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, ["", "expected", "measured", ""].map((each) => el("th", {}, each)))), el("tbody", {}, rows))));
}
function told() {
  const rows = DATA.story.map(([at, who, text]) => el("li", {}, el("button", { type: "button", title: exact(at), onclick: () => focusOn(at, at) },
    el("span", { class: "at" }, clockTime(at).replace(" s", "")), el("span", { class: "who" }, who), el("span", { class: "text" }, text.replaceAll("  ", ": ")))));
  return card("What happened", el("ol", { class: DATA.duration < 7200e9 ? "story" : "story long" }, rows), DATA.more_story ? el("p", { class: "dim" }, `… and ${DATA.more_story} more lines; --trace writes every record.`) : null);
}
function configuration() {
  return card("Configuration", DATA.configuration.map(([title, text]) => el("details", {}, el("summary", {}, title), el("pre", { tabindex: 0, "aria-label": title }, text))),
    el("p", { class: "dim" }, "Effective: what runs after every default. Passwords of virtual routers are masked, and what stands in a command where programs take one; everything else is shown as it is configured."));
}
function figures() {
  return el("section", { class: "figures", "aria-label": "Figures" }, DATA.figures.map(([name, value, why]) => el("div", { class: "figure" }, el("span", { class: "dim" }, name), el("b", {}, value), el("small", { class: "dim" }, why))));
}
const counts = Object.entries(DATA.counts).filter(([, count]) => count !== null).map(([name, count]) => `${count.toLocaleString("en")} ${name}`).join(", ");
open(header(DATA.about), command(DATA.command), figures(), timeline(), outage(), failovers(), el("div", { class: "two" }, expectations(), told()), sequence(), configuration(),
  footer(`seed ${DATA.seed}`, `digest ${DATA.digest}`, counts));
