"use strict";
/* The page around the worker: what is shown, what is asked. Text only ever enters as text; times are integer nanoseconds. */
const $ = (id) => document.getElementById(id);
const FIRST = JSON.parse($("first").textContent);
const RUNS = 200, CHUNK = 10, PATIENCE = 45_000;
const state = { files: FIRST.files, before: FIRST.files, seed: null, tab: null, added: [], past: [], found: FIRST.found, last: FIRST.found, at: 0, level: "calm-lan", drawn: 0 };

function put(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name.startsWith("aria-")) node.setAttribute(name, value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}
const el = (name, attributes, ...children) => put(document.createElement(name), attributes, children);
const draw = (name, attributes, ...children) => put(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
const seconds = (ns) => `${(ns / 1e9).toFixed(3)} s`;
const length = (ns) => (ns >= 120e9 ? `${Math.floor(ns / 60e9)} min ${((ns / 1e9) % 60).toFixed(1)} s` : ns >= 1e9 || !ns ? `${(ns / 1e9).toFixed(ns ? 3 : 0)} s` : `${(ns / 1e6).toFixed(1)} ms`);
const say = (text, bad = false) => { $("boot").lastElementChild.textContent = text; $("boot").classList.toggle("bad", bad); };

/* --- the workers: one for what somebody waits for, one for what may take a while --- */

class Python {
  constructor(watched) { this.watched = watched; this.waiting = new Map(); this.number = 0; }
  ready() { return (this.started ??= this.start()); }
  async start() {
    const { code, ...files } = await unpacked();
    this.worker = new Worker(code);
    const started = new Promise((done, failed) => {
      this.worker.onerror = (event) => failed(new Error(event.message));
      this.worker.onmessage = ({ data }) => {
        if (data.ready) done();
        else if (data.failed) failed(new Error(data.failed));
        else if (data.stage) { if (this.watched) { say(data.stage); $("boot").firstElementChild.value = data.part; } }
        else { this.waiting.get(data.id)?.(JSON.parse(data.answer)); this.waiting.delete(data.id); }
      };
    });
    this.worker.postMessage({ files, lock: $("lock").textContent });
    await started;
  }
  /* Ask for one of engine.py's functions; the answer has `good`, or says what was wrong. */
  async ask(call, words) {
    const ready = this.ready();
    await ready;
    if (ready !== this.started) return this.ask(call, words);
    const id = ++this.number;
    return new Promise((done) => {
      this.waiting.set(id, done);
      this.worker.postMessage({ id, call, words });
    });
  }
  /* Give up what runs and begin anew. */
  restart(why) {
    this.worker?.terminate();
    for (const done of this.waiting.values()) done({ mistake: why });
    this.waiting.clear();
    this.started = null;
  }
}
let packed;
/* The blocks of the page as bytes, unpacked once. */
function unpacked() {
  return (packed ??= (async () => {
    const all = {};
    for (const name of ["pyodide.asm.wasm", "python_stdlib.zip", "site.zip", "worker.js"]) {
      const text = $(name).textContent.trim();
      $(name).remove();
      const raw = Uint8Array.fromBase64 ? Uint8Array.fromBase64(text) : Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
      all[name] = new Uint8Array(await new Response(new Blob([raw]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer());
    }
    const code = URL.createObjectURL(new Blob([all["worker.js"]], { type: "text/javascript" }));
    delete all["worker.js"];
    return { ...all, code };
  })());
}
const front = new Python(true), back = new Python(false);

/* What an answer that is not good says. */
function wrong({ mistake, findings: found, bug }) {
  return mistake ?? found?.map((each) => `${each.file}:${each.line}: ${each.message}`).join("; ") ?? `a bug in vrrpsim: ${bug.trim().split("\n").at(-1)}`;
}

/* --- one change after another: the newest files win --- */

let asked = 0;
/* The findings of files that cannot be used. */
const refused = (answer, file) => ({ run: null, findings: answer.findings ?? [{ file, line: 1, col: 1, severity: "error", message: wrong(answer) }] });
async function study() {
  const mine = ++asked;
  const slow = setTimeout(() => stoppable(true), 4000);
  const dead = setTimeout(() => front.restart("this took longer than 45 s and was stopped"), PATIENCE);
  try {
    const answer = await front.ask("study", { files: state.files, seed: state.seed });
    if (mine !== asked) return;
    state.found = answer.good ?? refused(answer, scenario());
    if (state.found.run) { state.last = state.found; state.drawn++; }
    $("boot").classList.add("done");
    say(state.found.run ? "" : "The files cannot be run as they are; what was found stands beside their lines.", !state.found.run);
    show();
  } finally {
    clearTimeout(slow);
    clearTimeout(dead);
    stoppable(false);
  }
}
function stoppable(on) {
  document.getElementById("stop")?.remove();
  if (on) $("boot").append(el("button", { type: "button", id: "stop", onclick: () => front.restart("stopped") }, "Stop this run"));
}
const remember = (by) => state.past.push({ files: state.files, added: [...state.added], by });
/* Take files as they are now. */
function change(files) {
  state.files = files;
  write();
  const done = study();
  many();
  return done;
}
/* Ask for files and take them; a mistake is said. */
async function edit(call, words, after) {
  const answer = await front.ask(call, { files: state.files, ...words });
  if (!answer.good) return say(wrong(answer), true);
  remember();
  after?.();
  return change(answer.good);
}
const scenario = (files = state.files) => Object.keys(files).find((name) => /\.ya?ml$/.test(name)) ?? Object.keys(files)[0];
/* Begin with other files: what was is forgotten. */
async function begin(files, { level = null, seed = null, added = [], before = null } = {}) {
  const answer = await front.ask("begin", { files }), { good } = answer;
  Object.assign(state, { files: good ?? files, before: before ?? good ?? files, seed, added, past: [], level, tab: null, at: 0 });
  if (good) return change(good);
  state.found = refused(answer, Object.keys(files)[0]);
  asked++;
  say("No scenario can be made of these files; what was found stands beside their lines.", true);
  write();
  return show();
}
async function open(name, level = null) {
  const answer = await front.ask("example", { name });
  return answer.good ? begin(answer.good, { level }) : say(wrong(answer), true);
}

/* --- what happens --- */

function show() {
  const { run } = state.last, stale = !state.found.run;
  $("happens").style.opacity = stale ? 0.45 : 1;
  $("name").textContent = run.name;
  $("about").textContent = run.about;
  $("seed").value = state.seed ?? run.seed;
  $("verdict").className = `badge ${run.badge}`;
  $("verdict").textContent = { pass: "✓ ", fail: "✗ ", unknown: "? ", shown: "◆ ", none: "" }[run.badge] + run.verdict_line;
  $("figures").replaceChildren(...run.figures.map(([name, value, why]) => el("div", {}, el("span", {}, name), el("b", {}, value), el("small", {}, why))));
  $("instant").max = run.duration;
  $("instant").step = Math.max(1, Math.round(run.duration / 2000));
  $("instant").value = state.at;
  for (const button of document.querySelectorAll("[data-level]")) button.setAttribute("aria-pressed", button.dataset.level === state.level);
  blame(run.failovers.find((each) => each.main) ?? run.failovers[0]);
  timeline();
  moment();
  additions();
  findings();
  turnable();
  if (state.found.html) report(state.found.html);
}
/* Where the time of a failover went, and the keyword that decides each part. */
function blame(failover) {
  const parts = (failover?.parts ?? []).filter(([, size]) => size !== null), all = parts.reduce((sum, [, size]) => sum + size, 0) || 1;
  const most = Math.max(...parts.map(([, size]) => size));
  let gone = 0;
  $("blame").replaceChildren(...(parts.length ? [el("h3", {}, `Where the time went: ${failover.from} → ${failover.to} after ${failover.cause}`)] : []), ...parts.map(([name, size, why]) => {
    const bar = el("i");
    Object.assign(bar.style, { left: `${(100 * gone) / all}%`, width: `${(100 * size) / all}%` });
    gone += size;
    return el("div", { class: size === most ? "part most" : "part" }, el("span", {}, name), el("span", { class: "track", "aria-hidden": "true" }, bar), el("b", {}, length(size)), el("span", { class: "why" }, why ?? ""));
  }));
}
function slices(lane) {
  const { words, duration } = state.last.run, found = [];
  for (let at = 0; at < lane.slices.length; at += 3) {
    const [what, tone] = words[lane.slices[at + 1]];
    found.push({ start: lane.slices[at], end: at + 3 < lane.slices.length ? lane.slices[at + 3] : duration, what, tone: tone.split(" ")[0] });
  }
  return found;
}
function rows() {
  const { lanes } = state.last.run;
  const of = (kind, all) => all.map((lane) => ({ kind, label: lane.label, items: slices(lane) }));
  return [...of("owner", lanes.owners), ...of("state", lanes.states), ...of("client", lanes.clients)].slice(0, 24);
}
const ruler = document.createElement("canvas").getContext("2d");
function fit(text, room) {
  ruler.font = '11.5px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';
  if (ruler.measureText(text).width <= room) return text;
  let short = text;
  while (short.length > 1 && ruler.measureText(`${short}…`).width > room) short = short.slice(0, -1);
  return short.length > 1 ? `${short}…` : "";
}
const ROW = 27, TOP = 40;
let G = 130;
const wide = () => Math.max($("timeline").clientWidth, 240);
const x = (at) => G + (at / state.last.run.duration) * (wide() - G - 4);
function timeline() {
  const { run } = state.last, all = rows(), high = TOP + ROW * all.length + 22;
  G = wide() < 520 ? 92 : 150;
  const svg = draw("svg", { width: wide(), height: high, viewBox: `0 0 ${wide()} ${high}`, "aria-hidden": "true" });
  const step = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 21600, 86400, 864000, 2592000].find((each) => (run.duration / 1e9 / each) * 62 <= wide() - G) ?? 8640000;
  for (let at = 0; at <= run.duration / 1e9; at += step) {
    svg.append(draw("line", { class: "grid", x1: x(at * 1e9), x2: x(at * 1e9), y1: TOP - 6, y2: high - 18 }));
    const text = step >= 86400 ? `${at / 86400} d` : step >= 3600 ? `${at / 3600} h` : step >= 60 ? `${at / 60} min` : `${at} s`;
    svg.append(draw("text", { class: "dim", x: Math.min(x(at * 1e9), wide() - 2), y: high - 5, "text-anchor": x(at * 1e9) > wide() - 24 ? "end" : at ? "middle" : "start" }, text));
  }
  const ends = [-99, -99];
  for (const event of run.events.slice(0, 60)) {
    const from = x(event.at);
    if (event.until) svg.append(draw("rect", { class: "span", x: from, y: TOP - 6, width: Math.max(x(event.until) - from, 1), height: high - TOP - 14 }));
    svg.append(draw("line", { class: "cut", x1: from, x2: from, y1: TOP - 12, y2: high - 18 }), draw("path", { class: "mark", d: `M${from - 5} ${TOP - 14} h10 l-5 7z` }, draw("title", {}, `${event.text} at ${seconds(event.at)}`)));
    const text = fit(event.text, 200), size = ruler.measureText(text).width, start = Math.min(from + 7, wide() - size - 2);
    const level = ends.findIndex((end) => end + 8 < start);
    if (level >= 0) { svg.append(draw("text", { x: start, y: level ? 11 : 24, class: "event" }, text)); ends[level] = start + size; }
  }
  all.forEach((row, number) => {
    const y = TOP + number * ROW;
    svg.append(draw("text", { x: 0, y: y + 15, class: row.kind === "owner" ? "" : "dim" }, fit(row.label, G - 8), draw("title", {}, row.label)));
    for (const item of row.items) {
      const from = x(item.start), size = x(item.end) - from, text = size > 26 ? fit(item.what, size - 10) : "";
      svg.append(draw("rect", { class: `slice ${item.tone}`, x: from, y, width: Math.max(size, 1.5), height: ROW - 5, rx: 3 }, draw("title", {}, `${row.label}: ${item.what}, ${seconds(item.start)} to ${seconds(item.end)}`)));
      if (text) svg.append(draw("text", { x: from + 6, y: y + 15, class: `on-${item.tone}` }, text));
    }
  });
  svg.append(draw("line", { class: "ghost", id: "ghost", x1: -9, x2: -9, y1: TOP - 8, y2: high - 18 }), draw("line", { class: "head", id: "head", y1: TOP - 8, y2: high - 18 }));
  $("timeline").replaceChildren(svg);
}
/* The instant under the slider, in words. */
function moment() {
  const { run } = state.last, at = state.at;
  for (const end of ["x1", "x2"]) $("head")?.setAttribute(end, x(at));
  const told = rows().map((row) => [row, row.items.find((each) => each.start <= at && at < each.end) ?? row.items.at(-1)]).filter(([, item]) => item);
  const before = run.events.filter((each) => each.at <= at).at(-1);
  $("now").replaceChildren(el("b", {}, seconds(at)), ` ${told.map(([row, item]) => `${row.label}: ${item.what}`).join(" · ")}${before ? ` · last event: ${before.text}` : ""}`);
  $("instant").setAttribute("aria-valuetext", seconds(at));
}
function go(at) {
  state.at = Math.max(0, Math.min(Math.round(at), state.last.run.duration));
  $("instant").value = state.at;
  moment();
}
function changes() {
  return [...new Set([...rows().flatMap((row) => row.items.map((item) => item.start)), ...state.last.run.events.map((each) => each.at)])].sort((a, b) => a - b);
}
const step = (way) => go((way > 0 ? changes().find((each) => each > state.at) : changes().findLast((each) => each < state.at)) ?? (way > 0 ? state.last.run.duration : 0));

/* --- faults --- */

const FAULTS = {
  kill: ["a process dies", (nodes) => of(nodes, "processes"), (where) => `kill: ${where}`],
  freeze: ["a process freezes", (nodes) => of(nodes, "processes"), (where) => `freeze: ${where}`],
  hang: ["a check never returns", (nodes) => of(nodes, "scripts"), (where) => `hang: ${where}`],
  power: ["a machine loses power", (nodes) => ["master", ...Object.keys(nodes)], (where) => `power_off: ${where}`],
  pause: ["a machine stands still", (nodes) => ["master", ...Object.keys(nodes)], (where) => `pause: ${where}`],
  cable: ["a cable is pulled", (nodes) => of(nodes, "interfaces"), (where) => `link_down: ${where}`],
  cut: ["a node and the others do not hear each other", (nodes) => Object.keys(nodes), (where, nodes) => `partition: [[${where}], [${Object.keys(nodes).filter((each) => each !== where).join(", ")}]]`],
  loss: ["a third of all frames is lost", (nodes, segments) => segments, (where) => `impair: ${where}, loss: 30%`],
};
const of = (nodes, kind) => Object.entries(nodes).flatMap(([node, parts]) => parts[kind].map((each) => `${node}/${each}`));
function ask(at, node) {
  const { nodes, segments } = state.last;
  $("when").value = (at / 1e9).toFixed(3);
  const able = Object.entries(FAULTS).filter(([, [, places]]) => places(nodes, segments).length && (Object.keys(nodes).length > 1 || places !== FAULTS.cut[1]));
  const chosen = $("what").value;
  $("what").replaceChildren(...able.map(([name, [text]]) => el("option", { value: name, selected: name === chosen }, text)));
  const places = () => {
    const all = FAULTS[$("what").value][1](nodes, segments);
    $("where").replaceChildren(...all.map((each) => el("option", {}, each)));
    $("where").selectedIndex = Math.max(0, all.findIndex((each) => each.split("/")[0] === node));
    $("long").firstElementChild.disabled = $("what").value === "pause";
    if ($("what").value === "pause" && !$("long").value) $("long").value = "5s";
  };
  $("what").onchange = places;
  places();
  $("menu").returnValue = "";
  $("menu").showModal();
}
$("menu").addEventListener("close", () => {
  if ($("menu").returnValue !== "put") return;
  const what = FAULTS[$("what").value][2]($("where").value, state.last.nodes);
  const at = Math.max(0, Number($("when").value) || 0);
  const text = `{at: ${+at.toFixed(6)}s, ${what}${$("long").value ? `, for: ${$("long").value}` : ""}}`;
  go(at * 1e9);
  edit("add", { event: text }, () => state.added.push(text));
});
function additions() {
  $("added").hidden = !state.added.length && !state.past.length;
  $("undo").disabled = !state.past.length;
  $("added").querySelector("ul").replaceChildren(...state.added.map((text) => el("li", {}, el("code", {}, text),
    el("button", { type: "button", "aria-label": `Remove ${text}`, onclick: () => edit("remove", { event: text }, () => state.added.splice(state.added.lastIndexOf(text), 1)) }, "Remove"))));
}
function undo() {
  const { files, added } = state.past.pop();
  state.added = added;
  change(files);
}

/* --- keywords --- */

let turning = false, wanted = null;
async function turn(key, value) {
  wanted = [key, value];
  if (turning) return;
  turning = true;
  if (state.past.at(-1)?.by !== key) remember(key);
  while (wanted) {
    const [name, number] = wanted;
    wanted = null;
    const answer = await front.ask("turn", { files: state.files, key: name, value: number });
    if (answer.good) { state.files = answer.good; write(); await study(); } else say(wrong(answer), true);
  }
  turning = false;
  many();
}
function turnable() {
  const knobs = state.found.knobs ?? [], then = state.first_knobs ?? {};
  if (state.files === state.before) state.first_knobs = Object.fromEntries(knobs.map((each) => [each.key, each.value]));
  const old = [...$("knobs").children].map((each) => each.dataset.key).join("\n");
  if (!knobs.length) { if (state.found.run) $("knobs").replaceChildren(el("p", { class: "dim" }, "No keyword here is a number that could be turned.")); return; }
  if (old === knobs.map((each) => each.key).join("\n")) {
    knobs.forEach((knob, at) => {
      const row = $("knobs").children[at], input = row.querySelector("input");
      if (document.activeElement !== input && !turning) input.value = knob.value;
      row.querySelector("output").textContent = `${+input.value}${knob.unit && ` ${knob.unit}`}`;
      row.classList.toggle("changed", knob.key in then && then[knob.key] !== knob.value);
    });
    return;
  }
  $("knobs").replaceChildren(...knobs.map((knob, at) => {
    const id = `knob${at}`, out = el("output", { for: id }, `${knob.value}${knob.unit && ` ${knob.unit}`}`);
    const input = el("input", { type: "range", id, min: knob.least, max: knob.most, step: knob.step, oninput: () => { out.textContent = `${+input.value}${knob.unit && ` ${knob.unit}`}`; turn(knob.key, +input.value); } });
    input.value = knob.value;
    const row = el("div", { class: "knob" }, el("label", { for: id }, knob.keyword, el("small", {}, knob.of + (knob.differ ? " (differs)" : ""))), input, out);
    row.dataset.key = knob.key;
    return row;
  }));
}

/* 200 seeds of what was and of what is; a newer question ends an older one. */
const known = new Map();
let round = 0, pause;
function many() {
  clearTimeout(pause);
  const mine = ++round;
  pause = setTimeout(async () => {
    for (const files of state.files === state.before ? [state.before] : [state.before, state.files]) {
      const key = JSON.stringify(files), all = known.get(key) ?? { runs: 0, outage: [], failover: [], "two owners": [], nobody: [] };
      known.set(key, all);
      while (all.runs < RUNS && !all.wrong) {
        if (mine !== round) return;
        const { good } = await back.ask("seeds", { files, first: all.runs + 1, count: CHUNK });
        if (!good) { all.wrong = true; break; }
        for (const [name, values] of Object.entries(good)) all[name].push(...values);
        all.runs += CHUNK;
        if (mine === round) histogram();
      }
    }
    if (mine === round) histogram();
  }, 300);
  if (known.has(JSON.stringify(state.files))) histogram();
}
function quantile(sorted, part) { return sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)]; }
function histogram() {
  const measure = $("measure").value, then = known.get(JSON.stringify(state.before)), now = known.get(JSON.stringify(state.files));
  const same = state.files === state.before, shown = [then, same ? null : now].map((each) => (each ? [...each[measure]].sort((a, b) => a - b) : []));
  const current = same ? then : now;
  $("progress").textContent = current?.wrong ? "cannot be run" : (current?.runs ?? 0) < RUNS ? `${current?.runs ?? 0} of ${RUNS} seeds` : `${RUNS} seeds`;
  const width = Math.max($("histogram").clientWidth, 200), high = 150, most = Math.max(...shown.flat(), 1e8) * 1.04, bins = 32, base = high - 22;
  const counts = shown.map((values) => values.reduce((all, value) => { all[Math.min(bins - 1, Math.floor((value / most) * bins))]++; return all; }, Array(bins).fill(0)));
  const top = Math.max(...counts.flat(), 1), at = (bin) => (bin / bins) * width, up = (count) => base - (count / top) * (base - 12);
  const svg = draw("svg", { width, height: high, viewBox: `0 0 ${width} ${high}` }, draw("line", { class: "axis", x1: 0, x2: width, y1: base, y2: base }));
  const [old, fresh] = same ? [null, counts[0]] : counts;
  fresh?.forEach((count, bin) => count && svg.append(draw("rect", { class: "bar", x: at(bin) + 0.5, width: width / bins - 1, y: up(count), height: base - up(count) })));
  if (old && shown[0].length) svg.append(draw("path", { class: "then", d: `M0 ${base}${old.map((count, bin) => `L${at(bin)} ${up(count)}H${at(bin + 1)}`).join("")}V${base}` }));
  for (let part = 0; part <= 4; part++) svg.append(draw("text", { x: (part / 4) * width, y: high - 6, "text-anchor": part === 0 ? "start" : part === 4 ? "end" : "middle" }, `${((part / 4) * (most / 1e9)).toFixed(most > 2e10 ? 0 : 1)} s`));
  $("histogram").replaceChildren(svg);
  const figures = (values) => (values.length ? [quantile(values, 0.5), quantile(values, 0.95), values.at(-1)].map(length) : ["–", "–", "–"]);
  const [was, is] = [figures(shown[0]), same ? null : figures(shown[1])];
  $("histogram").setAttribute("aria-label", `${measure} of ${current?.runs ?? 0} seeds: median ${(is ?? was)[0]}, 95 of 100 at most ${(is ?? was)[1]}, worst ${(is ?? was)[2]}`);
  const line = (name, each) => el("tr", {}, el("th", {}, name), each.map((value) => el("td", { class: "number" }, value)));
  $("compare").replaceChildren(el("thead", {}, el("tr", {}, ["", "median", "95 of 100", "worst"].map((each) => el("th", { class: "number" }, each)))),
    el("tbody", {}, is ? [line("before (outline)", was), line("now (filled)", is)] : [line("now", was)]));
  $("reset").disabled = $("rebase").disabled = same;
}

/* --- files --- */

let typing;
function write() {
  if (!(state.tab in state.files)) state.tab = scenario();
  $("tabs").replaceChildren(...Object.keys(state.files).map((name) => el("button", { type: "button", role: "tab", "aria-selected": name === state.tab, "aria-controls": "text", "data-file": name, onclick: () => { state.tab = name; write(); findings(); } }, name)));
  $("text").setAttribute("aria-label", `Text of ${state.tab}`);
  if ($("text").value !== state.files[state.tab]) $("text").value = state.files[state.tab];
}
function findings() {
  const all = state.found.findings, here = new Map();
  const worst = (found) => (found.some((each) => each.severity === "error") ? "error" : "warning");
  for (const each of all) if (each.file === state.tab) here.set(each.line, [...(here.get(each.line) ?? []), each]);
  $("gutter").replaceChildren(...state.files[state.tab].split("\n").map((_, at) => {
    const found = here.get(at + 1);
    return el("span", found ? { class: worst(found), title: found.map((each) => each.message).join("\n") } : {}, String(at + 1));
  }));
  $("gutter").scrollTop = $("text").scrollTop;
  $("findings").replaceChildren(...all.slice(0, 60).map((each) => el("li", {}, el("button", { type: "button", class: each.severity, onclick: () => jump(each) },
    el("code", {}, `${each.file}:${each.line}:${each.col}`), ` ${each.severity}: ${each.code ? `${each.code} ` : ""}${each.message}`))));
  for (const tab of $("tabs").children) {
    const found = all.filter((each) => each.file === tab.dataset.file);
    tab.querySelector(".worst")?.remove();
    if (found.length) tab.append(el("span", { class: `worst ${worst(found)}`, "aria-label": `${found.length} findings` }, `● ${found.length}`));
  }
}
function jump({ file, line, col }) {
  state.tab = file in state.files ? file : state.tab;
  write();
  findings();
  const text = $("text"), start = text.value.split("\n").slice(0, line - 1).join("\n").length + (line > 1) + col - 1;
  text.focus();
  text.setSelectionRange(start, start + Math.max(1, (/^[^\s,{}:]+/.exec(text.value.slice(start)) ?? [""])[0].length));
  text.scrollTop = Math.max(0, (line - 8) * 18);
}
async function dropped(list) {
  const files = {};
  for (const file of list) {
    let name = file.name.replace(/[^\w.@+-]/g, "_"), number = 2;
    while (name in files) name = `${number++}-${file.name}`;
    if (file.size > 2e6) return say(`${file.name} is too large for a configuration`, true);
    files[name] = await file.text();
  }
  return Object.keys(files).length ? begin(files) : null;
}

/* --- share, export --- */

const coded = (bytes) => btoa(Array.from(bytes, (each) => String.fromCharCode(each)).join("")).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const through = async (bytes, stream) => new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());
async function link() {
  const kept = { files: state.files, seed: state.seed, added: state.added, before: state.before === state.files ? undefined : state.before };
  return `${location.href.split("#")[0]}#s=${coded(await through(new TextEncoder().encode(JSON.stringify(kept)), new CompressionStream("deflate-raw")))}`;
}
async function follow(hash) {
  const [, kind, value] = /^#(s|example|level)=(.*)$/.exec(hash) ?? [];
  if (kind === "example") return open(decodeURIComponent(value));
  if (kind === "level") return open(`level/${value}`, value);
  if (kind !== "s") return null;
  try {
    const raw = Uint8Array.from(atob(value.replace(/-/g, "+").replace(/_/g, "/")), (each) => each.charCodeAt(0));
    const { files, seed, added, before } = JSON.parse(new TextDecoder().decode(await through(raw, new DecompressionStream("deflate-raw"))));
    return await begin(files, { seed, added: added ?? [], before: before ?? null });
  } catch { return say("this link is damaged: it was cut short or changed on its way", true); }
}
function save(name, content, type) {
  const place = URL.createObjectURL(new Blob([content], { type }));
  el("a", { href: place, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(place), 10_000);
}
async function exported(form) {
  const stem = state.last.run.name || "run";
  if (form === "yaml") save(scenario().split("/").pop(), state.files[scenario()], "text/yaml");
  else if (form === "html") save(`${stem}.html`, state.found.html ?? "", "text/html");
  else if (form === "conf") for (const [name, text] of Object.entries(state.files)) { if (!/\.ya?ml$/.test(name)) save(name.split("/").pop(), text, "text/plain"); }
  else {
    const answer = await front.ask("capture", { files: state.files, seed: state.seed });
    if (answer.good) save(`${stem}.pcapng`, Uint8Array.from(atob(answer.good), (each) => each.charCodeAt(0)), "application/octet-stream");
    else say(wrong(answer), true);
  }
  $("export").open = false;
}
function report(html) {
  const frame = $("report");
  frame.srcdoc = html;
  frame.onload = () => {
    const root = frame.contentDocument?.documentElement;
    if (!root) return;
    root.style.colorScheme = document.documentElement.style.colorScheme;
    const grow = () => { frame.style.height = `${root.querySelector("body").scrollHeight + 4}px`; };
    grow();
    new ResizeObserver(grow).observe(root.querySelector("body"));
  };
}

/* --- every single fault --- */

async function census() {
  const files = state.files, cells = [];
  $("census").disabled = true;
  $("counting").textContent = "the faults are counted";
  $("cells").replaceChildren();
  let answer = await back.ask("single_faults", { files });
  const names = answer.good ?? [];
  for (let done = 0; done < names.length && answer.good; done += 3) {
    $("counting").textContent = `${done} of ${names.length} faults`;
    answer = await back.ask("census", { files, only: names.slice(done, done + 3) });
    cells.push(...(answer.good ?? []));
    filled(cells.sort((a, b) => a.rank - b.rank || b.outage - a.outage || b.two_owners - a.two_owners));
  }
  $("counting").textContent = answer.good ? `${names.length} faults, the worst first` : wrong(answer);
  $("census").disabled = false;
}
function filled(cells) {
  const tone = (outcome) => (outcome === "no harm" ? "pass" : /split|never|nobody/.test(outcome) ? "fail" : "");
  $("cells").replaceChildren(el("thead", {}, el("tr", {}, ["fault", "what comes of it", "longest outage", "two owners"].map((each, number) => el("th", { class: number > 1 ? "number" : "" }, each)))),
    el("tbody", {}, cells.map((cell) => el("tr", {}, el("td", {}, cell.fault), el("td", { class: tone(cell.outcome) }, cell.outcome, cell.beyond ? el("small", { class: "dim" }, ` (${cell.beyond})`) : ""),
      el("td", { class: "number" }, `${cell.cut ? "≥ " : ""}${length(cell.outage)}`), el("td", { class: "number" }, length(cell.two_owners))))));
}

/* --- the tour --- */

const TOUR = [
  ["#happens", "Two machines share an address; lb1 owns it. After 13 seconds its HAProxy dies. The top lane shows who owns the address, the bottom lane what a client sees: almost four seconds of nothing.", null],
  ["#figures", "Why so long? The check runs every 2 s; then the master lowers its priority without a word, and the backup waits three adverts and its skew. The full report at the end of the page splits it to the millisecond.", null],
  ["#tune", "Shorten it: look at HAProxy every second, not every two. Filled bars are 200 seeds of now, the outline is before.", ["Turn it", () => turn("interval chk_haproxy", 1)]],
  ["#happens", "Now break more. Pull lb2's plug while it carries the address: click its lane, or let me.", ["Pull the plug at 20 s", () => edit("add", { event: "{at: 20s, power_off: lb2, for: 5s}" }, () => state.added.push("{at: 20s, power_off: lb2, for: 5s}"))]],
  ["#write", "What you did stands in the scenario: a line under events. Break the file on purpose, and the mistake is told at its line; nothing else is lost.", null],
  ["#begin", "The second level: a switch that loses frames and cuts the nodes apart. Two masters, and after the cut one of them still answers from a stale cache.", ["Open it", () => open("level/office-switch", "office-switch")]],
  ["#all", "And everything else that can happen to your cluster, one fault after the other.", ["Try every fault", census]],
  ["#share", "Copy a link: files, faults and seed are in it, and nothing of it reaches a server. Then drop your own two files. That is all.", null],
];
let at = -1;
function guide(to) {
  document.querySelectorAll(".lit").forEach((each) => each.classList.remove("lit"));
  at = to;
  $("guide").hidden = at < 0 || at >= TOUR.length;
  if ($("guide").hidden) { at = -1; $("tour").focus(); return; }
  const [where, text, action] = TOUR[at];
  $("told").textContent = text;
  $("step").textContent = `${at + 1} of ${TOUR.length}`;
  $("back").disabled = !at;
  $("do").textContent = action ? action[0] : at + 1 < TOUR.length ? "Next" : "Done";
  $("do").onclick = () => { action?.[1](); guide(at + 1); };
  const target = document.querySelector(where);
  target.classList.add("lit");
  target.scrollIntoView({ block: target.offsetHeight > innerHeight - 180 ? "start" : "center" });
  $("do").focus({ preventScroll: true });
}

/* --- hands --- */

const instantAt = (event) => Math.max(0, Math.min(1, (event.clientX - $("timeline").getBoundingClientRect().left - G) / (wide() - G - 4))) * state.last.run.duration;
function laneAt(event) {
  const row = rows()[Math.floor((event.clientY - $("timeline").getBoundingClientRect().top - TOP) / ROW)];
  return row && Object.keys(state.last.nodes).find((node) => row.label.split(" ")[0] === node);
}
$("timeline").onclick = (event) => { if (state.last.nodes) { go(instantAt(event)); ask(state.at, laneAt(event)); } };
$("timeline").onmousemove = (event) => { const to = event.clientX - $("timeline").getBoundingClientRect().left; for (const end of ["x1", "x2"]) $("ghost").setAttribute(end, to < G ? -9 : to); };
$("timeline").onmouseleave = () => { for (const end of ["x1", "x2"]) $("ghost").setAttribute(end, -9); };
$("timeline").onkeydown = (event) => {
  const part = state.last.run.duration / (event.shiftKey ? 1000 : 100);
  const keys = { ArrowLeft: () => go(state.at - part), ArrowRight: () => go(state.at + part), Home: () => go(0), End: () => go(state.last.run.duration), ",": () => step(-1), ".": () => step(1), Enter: () => ask(state.at) };
  if (keys[event.key]) { keys[event.key](); event.preventDefault(); }
};
$("instant").oninput = () => go(+$("instant").value);
$("previous").onclick = () => step(-1);
$("next").onclick = () => step(1);
$("fault").onclick = () => ask(state.at);
$("undo").onclick = undo;
$("seed").onchange = () => { state.seed = Math.max(0, Math.round(+$("seed").value || 0)); study(); };
$("measure").onchange = histogram;
$("reset").onclick = () => { remember(); state.added = []; change(state.before); };
$("rebase").onclick = () => { state.before = state.files; state.first_knobs = null; turnable(); histogram(); };
$("text").oninput = () => {
  state.files = { ...state.files, [state.tab]: $("text").value };
  clearTimeout(typing);
  typing = setTimeout(() => { study(); many(); }, 350);
};
$("text").onscroll = () => { $("gutter").scrollTop = $("text").scrollTop; };
$("pick").onchange = () => dropped([...$("pick").files]).then(() => { $("pick").value = ""; });
$("share").onclick = async () => {
  const address = await link();
  history.replaceState(null, "", address);
  try { await navigator.clipboard.writeText(address); $("share").textContent = "Copied"; } catch { $("share").textContent = "It is in the address bar"; }
  setTimeout(() => { $("share").textContent = "Copy a link"; }, 2500);
};
$("export").onclick = (event) => { if (event.target.dataset?.form) exported(event.target.dataset.form); };
$("tour").onclick = () => guide(0);
$("back").onclick = () => guide(at - 1);
$("leave").onclick = () => guide(-1);
$("census").onclick = census;
$("theme").onclick = () => {
  const root = document.documentElement, dark = root.style.colorScheme ? root.style.colorScheme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.style.colorScheme = dark ? "light" : "dark";
  if ($("report").contentDocument) $("report").contentDocument.documentElement.style.colorScheme = root.style.colorScheme;
};
for (const button of document.querySelectorAll("[data-level]")) button.onclick = () => open(`level/${button.dataset.level}`, button.dataset.level);
$("examples").onchange = () => { if ($("examples").value) open($("examples").value); };
addEventListener("hashchange", () => follow(location.hash));
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && at >= 0 && !$("menu").open) guide(-1);
  if ((event.ctrlKey || event.metaKey) && event.key === "z" && state.past.length && !/TEXTAREA|INPUT/.test(document.activeElement.tagName)) { undo(); event.preventDefault(); }
});
let inside = 0;
addEventListener("dragenter", (event) => { inside++; $("drag").hidden = false; event.preventDefault(); });
addEventListener("dragleave", () => { if (--inside <= 0) { inside = 0; $("drag").hidden = true; } });
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => { event.preventDefault(); inside = 0; $("drag").hidden = true; dropped([...event.dataTransfer.files]); });
new ResizeObserver(() => { timeline(); moment(); histogram(); }).observe($("timeline"));

async function main() {
  $("examples").append(el("option", { value: "" }, "choose one of the examples"), ...FIRST.examples.map(([name, text]) => el("option", { value: name }, `${name}: ${text}`)));
  write();
  show();
  await front.ready();
  $("examples").disabled = false;
  await (location.hash.length > 1 ? follow(location.hash) : change(state.files));
}
main().catch((error) => say(`This browser cannot run the page: ${error.message}`, true));
