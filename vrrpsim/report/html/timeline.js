/* Lanes over one time axis. The visible window is `view`; whoever shows it asks to be told with `onView`. */
const view = { t0: 0, t1: DATA.duration };
const watchers = [];
const onView = (watcher) => watchers.push(watcher);
const LEAST = Math.min(1000, DATA.duration);
let waiting = false;

function show(t0, t1) {
  const span = Math.min(Math.max(t1 - t0, LEAST), DATA.duration);
  const middle = (t0 + t1) / 2;
  view.t0 = Math.round(Math.min(Math.max(middle - span / 2, 0), DATA.duration - span));
  view.t1 = Math.round(view.t0 + span);
  refresh();
}
function refresh() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; watchers.forEach((watcher) => watcher()); });
}
const span = () => view.t1 - view.t0;
const whole = () => show(0, DATA.duration);
const pan = (part) => show(view.t0 + part * span(), view.t1 + part * span());
function zoom(factor, at = (view.t0 + view.t1) / 2) {
  const width = Math.min(Math.max(span() * factor, LEAST), DATA.duration);
  const t0 = at - ((at - view.t0) / span()) * width;
  show(t0, t0 + width);
}
function focusOn(start, end) {
  const margin = Math.max((end - start) * 0.3, 1e6, DATA.duration * 1e-4);
  show(start - margin, end + margin);
  document.getElementById("timeline").scrollIntoView({ block: "start", behavior: "smooth" });
}
/* Keys that any picture of the window obeys; returns whether it was one of them. */
function obey(event) {
  const keys = { "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), 0: whole, Home: whole,
    ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2) };
  if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return false;
  keys[event.key]();
  event.preventDefault();
  return true;
}

/* --- what there is to draw --- */

const word = (number) => (number < 0 ? ["", ""] : DATA.words[number]);
/* A lane's flat list as slices. */
function slices(flat) {
  const found = [];
  for (let at = 0; at < flat.length; at += 3) {
    const [what, tone] = word(flat[at + 1]);
    found.push({ start: flat[at], end: at + 3 < flat.length ? flat[at + 3] : DATA.duration, what, tone, why: word(flat[at + 2])[0] });
  }
  return found;
}
const LANES = {};
for (const [kind, all] of Object.entries(DATA.lanes)) LANES[kind] = all.map((lane) => ({ ...lane, items: slices(lane.slices) }));
const EVENTS = DATA.events.map((event) => ({ start: event.at, end: event.until === null ? event.at : Math.min(event.until, DATA.duration), what: event.text, tone: "event", lasts: event.until !== null }));

function charts() {
  return DATA.priorities.map((chart) => {
    const lines = chart.lines.map((line) => {
      const items = [];
      for (let at = 0; at < line.points.length; at += 3) {
        items.push({ start: line.points[at], end: at + 3 < line.points.length ? line.points[at + 3] : DATA.duration, value: line.points[at + 1],
          what: `priority ${line.points[at + 1]}`, why: word(line.points[at + 2])[0], who: `${line.node} ${line.instance}`, tone: line.tone, node: line.node });
      }
      return items;
    });
    const levels = [...new Set(lines.flat().map((item) => item.value))].sort((a, b) => b - a);
    const items = lines.flat().sort((a, b) => a.start - b.start);
    return { label: chart.label, lines, levels, items };
  });
}
const first = (items, at) => {
  let low = 0, high = items.length;
  while (low < high) { const middle = (low + high) >> 1; if (items[middle].end <= at) low = middle + 1; else high = middle; }
  return low;
};
function tipOf(row, item) {
  const title = item.who ?? (row.kind === "events" ? "event" : row.label);
  const at = item.end > item.start ? `${exact(item.start)} to ${exact(item.end)}` : `at ${exact(item.start)}`;
  return [`${title}: ${item.what}`, at, item.end > item.start ? `for ${length(item.end - item.start)} (${exact(item.end - item.start)})` : "", item.why];
}

/* --- the picture --- */

function timeline() {
  const rows = [];
  const add = (kind, title, all) => all.length && rows.push({ heading: title, high: 24 }, ...all.map((row) => ({ kind, ...row })));
  if (EVENTS.length) rows.push({ kind: "events", label: "Events", items: EVENTS, high: 25 });
  add("priority", "EFFECTIVE PRIORITY", charts().map((row) => ({ ...row, high: 18 + 17 * Math.min(row.levels.length, 6) })));
  add("state", "STATE", LANES.states.map((row) => ({ ...row, high: 26 })));
  add("owner", "ADDRESS OWNER", LANES.owners.map((row) => ({ ...row, high: 26 })));
  add("client", "CLIENT", LANES.clients.map((row) => ({ ...row, high: 26 })));
  const lanes = rows.filter((row) => row.kind);

  const svg = draw("svg", { "aria-hidden": "true" }), axis = draw("svg", { height: 24, "aria-hidden": "true" });
  const cross = draw("line", { class: "cross", visibility: "hidden" }), clock = draw("g", { visibility: "hidden" }, draw("rect", { class: "clock", x: -46, width: 92, height: 21, y: 1, rx: 4 }), label(0, 16, "", { class: "strong", "text-anchor": "middle" }));
  const said = el("ul", { class: "heard" }, lanes.map((row) => el("li", {}, spoken(row))));
  const box = el("div", { class: "chart lanes", tabindex: 0, role: "group", "aria-roledescription": "timeline",
    "aria-label": "Timeline. Plus and minus zoom, left and right move, up and down choose a lane, full stop and comma step through it, 0 shows the whole run." }, svg, said);
  const top = el("div", { class: "chart" }, axis);
  const readout = el("span", { class: "window" });
  let W = 800, G = 150, eventRows = 1, chosen = null, hits = [];

  function x(at) { return G + ((at - view.t0) / span()) * (W - G); }
  function timeAt(px) { return view.t0 + ((px - G) / (W - G)) * span(); }

  function render() {
    W = Math.max(box.clientWidth, 240);
    const narrow = W < 600;
    const crowd = layEvents(0, DATA.duration, W - 150, 4).names;
    G = narrow ? 0 : Math.min(Math.max(60, ...[...crowd, ...lanes.map((row) => row.label + (row.levels ? "  255" : ""))].map((text) => wide(text) + 18)), 230);
    readout.textContent = `${clockTime(view.t0)} ${DASH} ${clockTime(view.t1)} (${length(span())})`;
    eventRows = Math.min(Math.max(layEvents(0, DATA.duration, W - G, 4).used, 1), 4);
    if (EVENTS.length) rows[0].high = eventRows * 19 + 6;
    hits = [];
    const parts = [];
    let y = 0;
    for (const row of rows) {
      row.y = y + (narrow && row.kind ? 14 : 0);
      y = row.y + row.high;
    }
    const scale = ticks(view.t0, view.t1, W - G, narrow ? 74 : 96);
    for (const [at] of scale.found) parts.push(draw("line", { class: "grid", x1: x(at), x2: x(at), y1: 0, y2: y }));
    parts.push(...bands(y));
    for (const row of rows) {
      if (row.heading) { parts.push(label(0, row.y + 17, row.heading, { class: "heading halo" })); continue; }
      if (row.kind === "events") { parts.push(...flags(row)); continue; }
      parts.push(label(0, narrow ? row.y - 3 : row.y + Math.min(row.high, 26) / 2 + 3, fit(row.label, narrow ? W : G - 8), { class: narrow ? "small halo" : "" }));
      if (row.kind === "priority") parts.push(...steps(row));
      else parts.push(...bars(row));
    }
    if (chosen && chosen.item) {
      const a = Math.max(x(chosen.item.start), G) - 2, b = Math.min(x(chosen.item.end), W) + 2;
      if (b > G && a < W) parts.push(draw("rect", { class: "chosen", x: a, y: chosen.row.y + 1, width: Math.max(b - a, 6), height: chosen.row.high - 2, rx: 4 }));
    }
    put(svg, { viewBox: `0 0 ${W} ${y}`, height: y }, []);
    put(axis, { viewBox: `0 0 ${W} 24` }, []);
    put(cross, { y1: 0, y2: y }, []);
    svg.replaceChildren(...parts, cross);
    const least = scale.base ? (narrow ? wide(scale.base) + 6 : G) : 0;
    const time = ([at, text]) => {
      const middle = Math.min(Math.max(x(at), least + wide(text) / 2), W - wide(text) / 2);
      return Math.abs(middle - x(at)) > 26 ? "" : label(middle, 16, text, { class: "dim", "text-anchor": "middle" });
    };
    axis.replaceChildren(draw("line", { class: "rule", x1: G, x2: W, y1: 23.5, y2: 23.5 }), ...scale.found.map(time),
      ...scale.found.map(([at]) => draw("line", { class: "rule", x1: x(at), x2: x(at), y1: 20, y2: 24 })),
      label(narrow ? 0 : G - 8, 16, scale.base, { class: "strong", "text-anchor": narrow ? "start" : "end" }), clock);
    mini.update();
  }

  function bands(high) {
    const parts = [];
    for (const event of EVENTS) {
      if (event.end < view.t0 || event.start > view.t1) continue;
      const a = Math.max(x(event.start), G), b = Math.min(x(event.end), W);
      if (event.lasts && b > a) parts.push(draw("rect", { class: "band", x: a, y: 0, width: b - a, height: high }));
      if (event.start >= view.t0) parts.push(draw("line", { class: "flag", x1: a, x2: a, y1: 12, y2: high }));
      if (event.lasts && event.end <= view.t1 && event.end < DATA.duration) parts.push(draw("line", { class: "flag end", x1: b, x2: b, y1: 12, y2: high }));
    }
    return parts.length > 400 ? [] : parts;
  }
  function flags(row) {
    const parts = [];
    const layout = layEvents(view.t0, view.t1, W - G, eventRows);
    if (G) layout.names.forEach((name, line) => parts.push(label(0, row.y + line * 19 + 14, fit(name, G - 8))));
    else parts.push(label(0, row.y - 3, fit(layout.names.join(", ") || row.label, W), { class: "small halo" }));
    if (G && !layout.names.length) parts.push(label(0, row.y + 16, row.label));
    for (const { event, line, text, left, a, b } of layout.placed) {
      const y = row.y + line * 19 + 10, xa = a + G, xb = b + G;
      const from = text && !left ? Math.max(xa, G) + wide(text) + 16 : Math.max(xa, G);
      if (event.lasts && from < Math.min(xb, W)) parts.push(draw("line", { class: "lasts", x1: from, x2: Math.min(xb, W), y1: y, y2: y }));
      if (xa >= G - 1) parts.push(draw("path", { class: "flagged", d: `M${xa - 5} ${y - 5} H${xa + 5} L${xa} ${y + 4} Z` }));
      if (text) parts.push(label(left ? xa - 9 : Math.max(xa, G) + 9, y + 4, text, { class: "strong halo", "text-anchor": left ? "end" : "start" }));
      hits.push({ row, item: event, x0: Math.max(xa, G) - 6, x1: Math.max(event.lasts ? Math.min(xb, W) : xa, xa + (text && !left ? wide(text) : 0)) + 6, y0: y - 9, y1: y + 9 });
    }
    return parts;
  }
  function bars(row) {
    const parts = [], above = [], y = row.y + 3, high = row.high - 6;
    let crowd = null;
    const flush = () => {
      if (!crowd) return;
      if (crowd.count === 1) one(crowd.item, crowd.a, crowd.b);
      else {
        parts.push(draw("rect", { class: "many", x: crowd.a, y, width: Math.max(crowd.b - crowd.a, 1), height: high }));
        hits.push({ row, item: { start: crowd.item.start, end: crowd.end, what: `${crowd.count} changes, zoom in` }, x0: crowd.a, x1: crowd.b, y0: row.y, y1: row.y + row.high });
      }
      crowd = null;
    };
    const one = (item, a, b) => {
      const bad = BAD.includes(item.tone), slim = b - a < 5, width = Math.max(b - a, bad ? 3 : 0.6);
      const [tone, many] = item.tone.split(" ");
      (bad ? above : parts).push(draw("rect", { class: `slice ${tone}${slim ? " slim" : ""}`, x: slim && bad ? (a + b) / 2 - width / 2 : a, y, width, height: high, rx: b - a < 12 ? 0 : 3 }));
      if (many) parts.push(draw("rect", { class: many, x: a, y: y + high - 5, width, height: 5 }));
      hits.push({ row, item, x0: a, x1: b, y0: row.y, y1: row.y + row.high, bad });
      const room = b - a - 10, time = length(item.end - item.start);
      const text = (bad ? [`${item.what} ${time}`, time] : [item.what, item.what.replace("answered by ", "")]).find((each) => wide(each) < room);
      if (text) above.push(label((a + b) / 2, y + high / 2 + 4, text, { class: `on-${tone}${bad || many || ["FAULT", "off", "paused"].includes(item.tone) ? " halo" : ""}`, "text-anchor": "middle" }));
    };
    for (let at = first(row.items, view.t0); at < row.items.length && row.items[at].start < view.t1; at++) {
      const item = row.items[at], a = Math.max(x(item.start), G), b = Math.min(x(item.end), W);
      if (b - a >= 2 || BAD.includes(item.tone)) { flush(); one(item, a, b); continue; }
      if (crowd && b - crowd.b < 2 && b - crowd.a < 24) { crowd.b = b; crowd.end = item.end; crowd.count++; continue; }
      flush();
      crowd = { item, a, b, end: item.end, count: 1 };
    }
    flush();
    return [...parts, ...thin(above)];
  }
  /* Of marks on the same pixel one is enough. */
  function thin(marks) {
    if (marks.length < 300) return marks;
    const seen = new Set();
    return marks.filter((mark) => { const key = `${mark.getAttribute("class")}${Math.round(mark.getAttribute("x") / 2)}`; return !seen.has(key) && seen.add(key); });
  }
  function steps(row) {
    const parts = [], above = [], gap = (row.high - 18) / Math.max(row.levels.length, 1), names = new Map();
    const yOf = (value, number) => row.y + 14 + row.levels.indexOf(value) * gap + (number - (row.lines.length - 1) / 2) * 1.8;
    row.levels.forEach((level, number) => {
      if (row.levels.length > 6 && number % Math.ceil(row.levels.length / 6)) return;
      const y = yOf(level, (row.lines.length - 1) / 2);
      parts.push(draw("line", { class: "grid", x1: G, x2: W, y1: y, y2: y }));
      above.push(label(G ? G - 8 : 0, y + 4, String(level), { class: "small dim halo", "text-anchor": G ? "end" : "start" }));
    });
    row.lines.forEach((items, number) => {
      let path = "", y = 0;
      for (let at = first(items, view.t0); at < items.length && items[at].start < view.t1; at++) {
        const a = Math.max(x(items[at].start), G);
        y = yOf(items[at].value, number);
        path += path ? `H${a.toFixed(1)}V${y}` : `M${a.toFixed(1)} ${y}`;
        hits.push({ row, item: items[at], x0: a, x1: Math.min(x(items[at].end), W), y0: y - 8, y1: y + 8, thin: true });
      }
      if (!path) return;
      parts.push(draw("path", { class: `pen ${items[0].tone}`, d: `${path}H${W}` }));
      const group = names.get(Math.round(y / 6)) ?? { who: new Set(), y };
      names.set(Math.round(y / 6), { who: group.who.add(items[0].node), y: Math.min(group.y, y) });
    });
    let free = 0;
    for (const { who, y } of [...names.values()].sort((a, b) => a.y - b.y)) {
      free = Math.max(y - 4, free + 11);
      parts.push(label(W - 4, free, [...who].join(", "), { class: "small strong halo", "text-anchor": "end" }));
    }
    return [...parts, ...above];
  }

  /* --- pointer and keys --- */

  function hitAt(px, py) {
    const near = hits.filter((hit) => py >= hit.y0 && py <= hit.y1 && px >= hit.x0 - 4 && px <= hit.x1 + 4);
    const away = (hit) => Math.max(hit.x0 - px, px - hit.x1, 0) + (hit.thin ? Math.abs((hit.y0 + hit.y1) / 2 - py) : 0) - (hit.bad && hit.x1 - hit.x0 < 8 ? 5 : 0);
    return near.sort((a, b) => away(a) - away(b))[0];
  }
  const place = (event) => { const box = svg.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  function point(event) {
    const [px, py] = place(event), inside = px >= G;
    put(cross, { x1: px, x2: px, visibility: inside ? "visible" : "hidden" }, []);
    const digits = Math.min(9, Math.max(3, Math.ceil(Math.log10(3e12 / span()))));
    clock.lastChild.textContent = `${exact(timeAt(px)).slice(0, digits - 11)} s`;
    put(clock, { visibility: inside ? "visible" : "hidden", transform: `translate(${Math.min(Math.max(px, G + 46), W - 46)} 0)` }, []);
    const hit = hitAt(px, py);
    if (hit) showTip(tipOf(hit.row, hit.item), event.clientX, event.clientY);
    else hideTip();
  }
  const leave = () => { for (const each of [cross, clock]) put(each, { visibility: "hidden" }, []); hideTip(); };
  grab(box, { place: (event) => place(event)[0], timeAt, scale: () => span() / (W - G), point, leave });
  box.addEventListener("wheel", (event) => {
    const sideways = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
    if (!sideways && event.deltaY > 0 && span() >= DATA.duration) return;  // nothing left to zoom out of: the page scrolls
    event.preventDefault();
    hideTip();
    if (sideways) pan((event.deltaX || event.deltaY) / 800);
    else zoom(Math.exp(Math.max(Math.min(event.deltaY, 200), -200) / 260), timeAt(Math.max(place(event)[0], G)));
  }, { passive: false });
  box.addEventListener("keydown", (event) => {
    const row = chosen?.row ?? lanes[0], at = lanes.indexOf(row);
    const moves = { ArrowDown: () => choose(lanes[Math.min(at + (chosen ? 1 : 0), lanes.length - 1)]), ArrowUp: () => choose(lanes[Math.max(at - 1, 0)]),
      ".": () => step(row, 1), ",": () => step(row, -1), Enter: () => step(row, 0), Escape: () => { chosen = null; hideTip(); refresh(); } };
    if (obey(event) || !moves[event.key]) return;
    event.preventDefault();
    moves[event.key]();
  });
  box.addEventListener("blur", () => { if (chosen) { chosen = null; hideTip(); refresh(); } });
  function choose(row) {
    const at = first(row.items, view.t0);
    select(row, row.items[Math.min(at, row.items.length - 1)]);
  }
  function step(row, by) {
    const at = chosen?.row === row ? row.items.indexOf(chosen.item) + by : first(row.items, view.t0);
    select(row, row.items[Math.min(Math.max(at, 0), row.items.length - 1)]);
  }
  function select(row, item) {
    chosen = { row, item };
    if (!item) return;
    if (item.start >= view.t1 || item.end < view.t0 || item.start < view.t0 - span()) show(item.start - span() / 2, item.start + span() / 2);
    render();
    const box = svg.getBoundingClientRect(), middle = (Math.max(x(item.start), G) + Math.min(x(item.end), W)) / 2;
    showTip(tipOf(row, item), box.left + middle, Math.min(Math.max(box.top + row.y + row.high, 0), innerHeight - 30), true);
  }

  const mini = minimap(() => G);
  const button = (text, name, act) => el("button", { type: "button", "aria-label": name, title: name, onclick: act }, text);
  const jump = el("select", { "aria-label": "Go to", onchange: () => {
    if (jump.value === "all") whole();
    else if (jump.value) focusOn(...jump.value.split(" ").map(Number));
    jump.value = "";
  } }, el("option", { value: "" }, "Go to …"), el("option", { value: "all" }, "the whole run"),
    DATA.failovers.map((each) => el("option", { value: `${each.fault} ${each.fault + (each.total ?? each.owner - each.fault)}` }, `failover ${each.from} → ${each.to}, ${length(each.fault)}`)),
    EVENTS.slice(0, 40).map((each) => el("option", { value: `${each.start} ${each.end}` }, `${each.what}, ${length(each.start)}`)));
  const tools = el("div", { class: "tools" }, el("div", { class: "row", role: "toolbar", "aria-label": "Window" },
    button("+", "Zoom in", () => zoom(0.5)), button(MINUS, "Zoom out", () => zoom(2)), button("←", "Earlier", () => pan(-0.25)),
    button("→", "Later", () => pan(0.25)), button("Whole run", "Show the whole run", whole), jump, readout), mini.node, top);
  const coarse = Object.values(DATA.lanes).flat().filter((lane) => lane.of).length + DATA.priorities.flatMap((each) => each.lines).filter((line) => line.of).length;
  const notes = [coarse ? `${coarse} ${coarse === 1 ? "lane has" : "lanes have"} more changes than a page can hold: short ones next to each other are shown together as “n changes”.` : "",
    DATA.more_events ? `The first ${DATA.events.length} of ${DATA.events.length + DATA.more_events} events are shown.` : ""];
  onView(render);
  new ResizeObserver(refresh).observe(box);
  return el("section", { class: "card long", id: "timeline", "aria-label": "Timeline" }, tools, box, legend(),
    notes.filter(Boolean).map((note) => el("p", { class: "dim" }, note)),
    el("p", { class: "dim keys" }, el("kbd", {}, "+"), " ", el("kbd", {}, MINUS), " or wheel zoom, ", el("kbd", {}, "←"), " ", el("kbd", {}, "→"), " or drag move, ",
      el("kbd", {}, "↑"), " ", el("kbd", {}, "↓"), " choose a lane, ", el("kbd", {}, "."), " ", el("kbd", {}, ","), " step through it, ", el("kbd", {}, "0"), " whole run"));
}

/* Drag to move, pinch to zoom, hover or tap to point. */
function grab(box, { place, timeAt, scale, point, leave }) {
  const fingers = new Map();
  let moved = false;
  box.addEventListener("pointerdown", (event) => { fingers.set(event.pointerId, place(event)); moved = false; });
  box.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) { point(event); return; }
    const before = fingers.get(event.pointerId), now = place(event);
    if (fingers.size === 1) {
      if (!moved && Math.abs(now - before) < 4) return;
      if (!moved) { moved = true; box.setPointerCapture(event.pointerId); box.classList.add("dragging"); hideTip(); }
      show(view.t0 - (now - before) * scale(), view.t1 - (now - before) * scale());
    } else if (fingers.size === 2) {
      const other = [...fingers.entries()].find(([id]) => id !== event.pointerId)[1];
      if (Math.abs(now - other) > 12) zoom(Math.abs(before - other) / Math.abs(now - other), timeAt((now + other) / 2));
      moved = true;
    }
    fingers.set(event.pointerId, now);
  });
  const done = (event) => {
    if (fingers.delete(event.pointerId) && event.type === "pointerup" && !moved) point(event);
    box.classList.remove("dragging");
  };
  box.addEventListener("pointerup", done);
  box.addEventListener("pointercancel", done);
  box.addEventListener("pointerleave", (event) => { done(event); if (event.pointerType === "mouse") leave(); });
}

/* Rows for the events of a window, so that no text covers another; pixels count from the window's start.
   If they are too many for texts, one row for each text, with `names`. */
function layEvents(t0, t1, pixels, most) {
  const ends = [], placed = [];
  let crowded = false;
  for (const event of EVENTS) {
    if (event.end < t0 || event.start > t1) continue;
    const a = ((event.start - t0) / (t1 - t0)) * pixels, b = ((event.end - t0) / (t1 - t0)) * pixels;
    const from = Math.max(a, 0), size = wide(event.what) + 14;
    const left = from + size > pixels && a - size > 0;
    const start = left ? a - size : from - 6, end = Math.max(left ? a + 6 : from + size, Math.min(b, pixels) + 4);
    let line = ends.findIndex((each) => each <= start);
    if (line < 0 && ends.length < most) line = ends.push(0) - 1;
    if (line >= 0) ends[line] = end;
    if (line < 0) crowded = true;
    placed.push({ event, a, b, left, line, text: size > pixels ? "" : event.what });
  }
  if (!crowded) return { placed, used: ends.length, names: [] };
  const names = [...new Set(placed.map((each) => each.event.what))];
  for (const each of placed) Object.assign(each, { line: Math.min(names.indexOf(each.event.what), most - 1), text: "" });
  const count = (line) => placed.filter((each) => each.line === line).length;
  const titles = names.slice(0, most).map((name, line) => (line === most - 1 && names.length > most ? `${count(line)} others` : `${count(line)} × ${name}`));
  return { placed, used: titles.length, names: titles };
}
function fit(text, room) {
  if (wide(text) <= room) return text;
  let short = text;
  while (short.length > 1 && wide(`${short}…`) > room) short = short.slice(0, -1);
  return `${short}…`;
}
/* A lane in words, for those who hear the page. */
function spoken(row) {
  const items = row.items.slice(0, 12).map((item) => `${item.who ? `${item.who} ` : ""}${item.what} from ${length(item.start)}`);
  return `${row.label}: ${items.join(", ")}${row.items.length > 12 ? ` and ${row.items.length - 12} more` : ""}`;
}

/* The whole run at a glance, and where the window is. */
function minimap(gutter) {
  const svg = draw("svg", { height: 30, "aria-hidden": "true" }), window_ = draw("rect", { class: "brush", y: 1, height: 28, rx: 3 });
  const node = el("div", { class: "chart mini" }, svg);
  let wide_ = 0, G = 0;
  const x = (at) => G + (at / DATA.duration) * (wide_ - G);
  function update() {
    const width = Math.max(node.clientWidth, 240);
    if (width !== wide_ || G !== gutter()) { wide_ = width; G = gutter(); base(); }
    put(window_, { x: x(view.t0), width: Math.max(x(view.t1) - x(view.t0), 3) }, []);
  }
  function base() {
    const lanes = (LANES.owners.length ? LANES.owners : LANES.states).slice(0, 4), high = 18 / Math.max(lanes.length, 1), parts = [], bad = [];
    lanes.forEach((lane, number) => {
      let last = -1;
      for (const item of lane.items) {
        const a = x(item.start), b = x(item.end), is = BAD.includes(item.tone);
        if (b - last < 0.7 && !is) continue;
        last = b;
        (is ? bad : parts).push(draw("rect", { class: `${item.tone.split(" ")[0]} slim`, x: a, y: 10 + number * high, width: Math.max(b - a, is ? 2 : 0.7), height: high - 1 }));
      }
    });
    const marks = EVENTS.slice(0, 200).map((event) => draw("path", { class: "flagged", d: `M${x(event.start) - 3} 2 h6 l-3 6 Z` }));
    put(svg, { viewBox: `0 0 ${wide_} 30` }, []);
    svg.replaceChildren(draw("rect", { class: "well", x: G, y: 0, width: wide_ - G, height: 30, rx: 3 }), ...parts, ...bad, ...marks, window_);
  }
  const move = (event) => {
    const at = ((event.clientX - svg.getBoundingClientRect().left - G) / (wide_ - G)) * DATA.duration;
    show(at - span() / 2, at + span() / 2);
  };
  node.addEventListener("pointerdown", (event) => { node.setPointerCapture(event.pointerId); move(event); });
  node.addEventListener("pointermove", (event) => { if (event.buttons) move(event); });
  return { node, update };
}

function legend() {
  const tones = new Set(Object.values(LANES).flat().flatMap((lane) => lane.items.map((item) => item.tone)));
  const plain = new Set([...tones].flatMap((tone) => tone.split(" ")));
  const names = { MASTER: "MASTER", BACKUP: "BACKUP", INIT: "INIT", FAULT: "FAULT", off: "off", paused: "paused", several: "two owners", nobody: "no owner", silent: "client gets no answer", before: "not yet, or nobody noticed", many: "many changes", "many-bad": "many changes, some of them bad" };
  const swatch = (tone, name) => el("span", {}, draw("svg", { viewBox: "0 0 22 12", "aria-hidden": "true" }, draw("rect", { class: tone, x: 1, y: 1, width: 20, height: 10, rx: 2 })), name);
  return el("div", { class: "legend" }, Object.entries(names).filter(([tone]) => plain.has(tone)).map(([tone, name]) => swatch(tone, name)),
    Object.entries(DATA.nodes).slice(0, 6).map(([name, tone]) => swatch(tone, name)));
}
