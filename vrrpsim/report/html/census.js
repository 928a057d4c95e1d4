/* The page of a census: the faults as a table, the pairs as a heat map, and the worst run of what is chosen. */
const MARKS = ["N", "S", "O", "H", ""], CELLS = DATA.cells;
const seconds = (ns, cut) => (ns ? `${cut ? "> " : ""}${length(ns)}` : DASH);
const tone = (cell) => (cell.beyond && cell.outcome < 3 ? `o${cell.outcome} beyond` : `o${cell.outcome}`);
const tag = (cell) => el("span", { class: `tag ${tone(cell)}` }, DATA.outcomes[cell.outcome]);
const said = (cell) => `${cell.name}: ${DATA.outcomes[cell.outcome]}, outage ${seconds(cell.max, cell.cut)}, two owners ${seconds(cell.two)}`;
const drawn = el("div", { class: "chart" }), panel = el("section", { class: "card", id: "run", "aria-label": "The worst run" });
let chosen = CELLS[0];

/* --- the worst run of the chosen cell */

function picture(cell) {
  const wide_ = Math.max(panel.clientWidth - 34, 240), left = Math.min(150, wide_ * 0.32), room = wide_ - left - 8;
  const times = [...cell.faults.flatMap(([from, until]) => [from, until ?? from]), ...cell.outages.flatMap(([, from, until]) => [from, until])];
  const t0 = Math.max(0, Math.min(...times, cell.from) - 1e9), t1 = Math.max(...times, cell.from + 5e9) + 3e9;
  const x = (at) => left + ((Math.min(Math.max(at, t0), t1) - t0) / (t1 - t0)) * room;
  const rows = [];
  let y = 4;
  const lane = (name, slices) => {
    rows.push(label(0, y + 15, wide(name) > left - 8 ? `${name.slice(0, Math.floor((left * name.length) / wide(name)) - 3)}…` : name, { class: "small" }, name));
    for (const [from, until, text, look] of slices) {
      const size = Math.max(x(until) - x(from), 2);
      rows.push(draw("rect", { x: x(from), y, width: size, height: 20, class: `slice ${look}` }, draw("title", {}, `${text}: ${length(from - t0)} to ${length(until - t0)}`)));
      if (wide(text) < size - 6) rows.push(label(x(from) + 4, y + 14, text, { class: "small halo" }));
    }
    y += 26;
  };
  for (const [from, until, what] of cell.faults) lane(what, [[from, until ?? from, "", "other"]]);
  for (const [address, steps] of cell.owners) lane(address, steps.map(([from, who], at) => [from, steps[at + 1]?.[0] ?? t1, who || "nobody", !who ? "nobody" : who.includes("+") ? "several" : `node${DATA.nodes.indexOf(who) % 6}`]));
  for (const who of new Set(cell.outages.map(([each]) => each))) lane(`${who}, no answer`, cell.outages.filter(([each]) => each === who).map(([, from, until]) => [from, until, length(until - from), "silent"]));
  for (const [at, text] of ticks(t0, t1, room, 70).found) rows.push(draw("path", { class: "grid", d: `M${x(at)} 0 V${y}` }), label(x(at), y + 12, text, { class: "small dim", "text-anchor": "middle" }));
  return draw("svg", { width: wide_, height: y + 18, viewBox: `0 0 ${wide_} ${y + 18}`, role: "img", "aria-label": said(cell) }, rows);
}
function show(cell, focus) {
  chosen = cell;
  const title = el("h2", { tabindex: -1 }, cell.name);
  const shares = cell.shares.length > 1 ? `In ${cell.runs} runs: ${cell.shares.map(([name, count]) => `${name} ${count}`).join(", ")}.` : `The same in all ${cell.runs} runs.`;
  panel.replaceChildren(title, el("p", {}, tag(cell), ` outage ${seconds(cell.max, cell.cut)} at worst, ${seconds(cell.p50)} in half of the runs; two owners ${seconds(cell.two)}. ${shares}`),
    cell.beyond ? el("p", {}, `VRRP cannot mend it: ${cell.beyond}.`) : cell.blame ? el("p", {}, "What decides: ", el("b", {}, cell.blame)) : null, drawn, command(cell.command));
  drawn.replaceChildren(picture(cell));
  document.querySelectorAll("[data-cell]").forEach((each) => each.classList.toggle("here", +each.dataset.cell === CELLS.indexOf(cell)));
  if (focus) { history.replaceState(null, "", `#${encodeURIComponent(cell.name)}`); panel.scrollIntoView({ block: "nearest" }); title.focus({ preventScroll: true }); }
}

/* --- the table */

const COLUMNS = [["what goes wrong", (c) => c.name], ["what happens", (c) => c.outcome], ["outage, half", (c) => -c.p50, 1], ["outage, worst", (c) => -c.max, 1], ["two owners", (c) => -c.two, 1], ["what decides, or why VRRP cannot mend it", (c) => c.beyond || c.blame]];
const body = el("tbody"), count = el("span", { class: "dim", "aria-live": "polite" }), MOST = 200;
const search = el("input", { type: "search", placeholder: "filter, such as power off lb1", "aria-label": "Filter by name", oninput: fill });
const kinds = el("select", { "aria-label": "Filter by outcome", onchange: fill }, el("option", { value: "" }, "all outcomes"), DATA.outcomes.map((name, at) => el("option", { value: at }, name)));
const sizes = el("select", { "aria-label": "Single faults or pairs", onchange: fill }, el("option", { value: 1 }, "single faults"), el("option", { value: 2 }, "pairs"), el("option", { value: 0 }, "both"));
const group = el("select", { "aria-label": "What VRRP can mend", onchange: fill }, el("option", { value: "" }, "all"), el("option", { value: "no" }, "the configuration decides"), el("option", { value: "yes" }, "VRRP cannot mend"));
let order = null, down = false;
const heads = COLUMNS.map(([name, by, number]) => {
  const head = el("th", { scope: "col", class: number && "number" }, el("button", { type: "button", class: "link", onclick: () => {
    down = order === by && !down; order = by; fill();
    heads.forEach((each) => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
  } }, name));
  return head;
});
function fill() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = CELLS.filter((cell) => (!+sizes.value || cell.size === +sizes.value || (!cell.size && +sizes.value === 1)) && (kinds.value === "" || cell.outcome === +kinds.value)
    && (!group.value || (group.value === "yes") === Boolean(cell.beyond)) && words.every((word) => cell.name.toLowerCase().includes(word)));
  if (order) wanted.sort((a, b) => { const [one, other] = [order(a), order(b)]; return (one < other ? -1 : one > other ? 1 : 0) * (down ? -1 : 1); });
  count.textContent = `${wanted.length} of ${CELLS.length}${wanted.length > MOST ? `, the first ${MOST} are shown` : ""}`;
  body.replaceChildren(...wanted.slice(0, MOST).map((cell) => el("tr", { "data-cell": CELLS.indexOf(cell), class: cell === chosen && "here" }, el("td", { class: "name" }, el("button", { type: "button", class: "link", onclick: () => show(cell, true) }, cell.name)), el("td", { class: "still" }, tag(cell)),
    el("td", { class: "number" }, seconds(cell.p50)), el("td", { class: "number" }, seconds(cell.max, cell.cut)), el("td", { class: "number" }, seconds(cell.two)), el("td", {}, cell.beyond || cell.blame || ""))));
}
function table() {
  fill();
  return card("Everything that can go wrong, the worst first", el("div", { class: "row filters" }, search, sizes, kinds, group, count),
    el("div", { class: "scroll" }, el("table", { class: "census" }, el("thead", {}, el("tr", {}, heads)), body)));
}

/* --- the heat map */

function heatMap() {
  const pairs = new Map(CELLS.filter((cell) => cell.size === 2).map((cell) => [`${cell.faults_of[0]}/${cell.faults_of[1]}`, cell]));
  if (!pairs.size) return null;
  const used = DATA.faults.map((_, at) => at).filter((at) => [...pairs.keys()].some((key) => key.split("/").includes(String(at))));
  const cells = [];
  const place = (row, column) => { const next = cells[row]?.[column]; if (!next) return; cells.flat().forEach((each) => each && (each.tabIndex = -1)); next.tabIndex = 0; next.focus(); };
  const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  const keys = (row, column) => (event) => {
    if (!moves[event.key]) return;
    event.preventDefault();
    let [r, c] = [row + moves[event.key][0], column + moves[event.key][1]];
    while (cells[r] && c >= 0 && c < used.length && !cells[r][c]) { r += moves[event.key][0]; c += moves[event.key][1]; }
    place(r, c);
  };
  const rows = used.map((first, row) => {
    cells.push([]);
    return el("tr", {}, el("th", { scope: "row" }, DATA.faults[first]), used.map((second, column) => {
      const cell = pairs.get(`${first}/${second}`);
      if (!cell) { cells[row].push(null); return el("td", { class: "none" }); }
      const tell = (event) => { const box = event.currentTarget.getBoundingClientRect(); showTip([cell.name, `${DATA.outcomes[cell.outcome]}; outage ${seconds(cell.max, cell.cut)}; two owners ${seconds(cell.two)}`, cell.beyond || cell.blame], box.right, box.top); };
      const one = el("button", { type: "button", tabindex: -1, class: tone(cell), "data-cell": CELLS.indexOf(cell), "aria-label": said(cell), onclick: () => show(cell, true), onkeydown: keys(row, column), onmouseenter: tell, onfocus: tell, onmouseleave: hideTip, onblur: hideTip }, MARKS[cell.outcome]);
      cells[row].push(one);
      return el("td", {}, one);
    }));
  });
  cells.flat().find(Boolean).tabIndex = 0;
  const legend = el("div", { class: "legend" }, DATA.outcomes.map((name, at) => el("span", {}, el("i", { class: `swatch o${at}` }, MARKS[at]), name)), el("span", {}, el("i", { class: "swatch o1 beyond" }), "pale: VRRP cannot mend it"));
  return card("Pairs: the row happens first, the column while the cluster may still answer it", el("p", { class: "dim keys" }, "Arrows move, Enter opens the worst run."),
    el("div", { class: "scroll heat" }, el("table", {}, el("thead", {}, el("tr", {}, el("td"), used.map((at) => el("th", { scope: "col" }, el("span", {}, DATA.faults[at]))))), el("tbody", {}, rows))), legend);
}
function figures() {
  return el("section", { class: "figures", "aria-label": "Figures" }, DATA.figures.map(([name, value, why]) => el("div", { class: "figure" }, el("span", { class: "dim" }, name), el("b", {}, value), el("small", { class: "dim" }, why))));
}
open(header(""), command(DATA.command), figures(), table(), panel, heatMap(), footer());
const asked = decodeURIComponent(location.hash.slice(1));
show(CELLS.find((cell) => cell.name === asked) ?? chosen, false);
addEventListener("resize", () => drawn.replaceChildren(picture(chosen)));
