/* Who said what to whom in the visible window: time runs down, an arrow for each message, or counts if they are many. */
function sequence() {
  const data = DATA.sequence;
  if (!data) return card("Sequence", el("p", { class: "dim" }, "The trace of this run has no adverts (it was recorded at the level of states)."));
  const KIND = 0, FROM = 1, INSTANCE = 2, TEXT = 3, TO = 4, LOST = 5, WHY = 6;
  const times = [], routes = [];
  for (let at = 0, now = 0; at < data.messages.length; at += 2) {
    now += data.messages[at];
    times.push(now);
    routes.push(data.routes[data.messages[at + 1]]);
  }
  const passed = data.quiet.reduce((sum, each, number) => sum + (number % 4 === 2 ? each : 0), 0);
  const kept = (data.instants ?? []).reduce((all, delta) => [...all, (all.at(-1) ?? 0) + delta], []);
  const columns = data.participants.map((name, number) => number < data.nodes
    ? LANES.states.filter((lane) => lane.label.startsWith(`${name} `)).map((lane) => ({ ...lane, instance: lane.label.slice(name.length + 1) }))
    : LANES.clients.filter((lane) => lane.label === name));
  const TOP = 34, ARROWS = 110;
  const svg = draw("svg", { "aria-hidden": "true" }), note = el("span", { class: "dim" });
  const which = el("select", { "aria-label": "Virtual router", onchange: () => refresh() }, el("option", { value: "" }, "all instances"),
    data.instances.map((name) => el("option", { value: name }, name)));
  const box = el("div", { class: "chart scroll", tabindex: 0, role: "group", "aria-roledescription": "sequence diagram",
    "aria-label": "Adverts of the visible window. Up and down move in time, plus and minus zoom, full stop and comma step through the messages." }, svg);
  let hits = [], names = [], at = -1, W = 600, H = 400, left = 64;

  const lowest = (t) => { let low = 0, high = times.length; while (low < high) { const middle = (low + high) >> 1; if (times[middle] < t) low = middle + 1; else high = middle; } return low; };
  /* Where a participant stands; on a narrow page the first leaves room for the names of its states. */
  function x(number) {
    const all = data.participants.length, narrow = left < 60 && all > 1;
    return narrow ? left + 50 + (number * (W - left - 84)) / (all - 1) : left + ((number + 0.5) * (W - left)) / all;
  }
  const y = (t) => TOP + ((t - view.t0) / span()) * (H - TOP - 8);
  /* The parts of the window whose messages were only counted, because they are far from every change. */
  function gaps() {
    if (!data.of) return [];
    const found = [];
    let covered = view.t0;
    for (const instant of kept) {
      if (instant + data.near <= covered) continue;
      if (instant - data.near >= view.t1) break;
      if (instant - data.near > covered) found.push([covered, instant - data.near]);
      covered = instant + data.near;
    }
    return covered < view.t1 ? [...found, [covered, view.t1]] : found;
  }
  /* What the simulator passed over, in the window: from, until and what to say of it. */
  function quiet() {
    const found = [];
    for (let at = 0; at < data.quiet.length; at += 4) {
      const [a, b, adverts, lost] = data.quiet.slice(at, at + 4);
      if (b > view.t0 && a < view.t1) found.push([a, b, `${adverts.toLocaleString("en")} adverts in ${length(b - a)}${lost ? `, ${lost.toLocaleString("en")} lost` : ""}: nothing else happened`]);
    }
    return found;
  }
  const late = (t) => data.late.filter(([from, until]) => from <= t && t < until).map(([, , text]) => text);
  const wanted = (route) => !which.value || !route[INSTANCE] || route[INSTANCE] === which.value;

  function render() {
    left = box.clientWidth < 500 ? 52 : 72;
    W = Math.max(box.clientWidth, left + 62 * data.participants.length, 240);
    const from = lowest(view.t0), to = lowest(view.t1 + 1), visible = [];
    for (let number = from; number < to; number++) if (wanted(routes[number])) visible.push(number);
    H = Math.min(Math.max(visible.length * 11 + 120, 380), 760);
    const arrows = together(visible), holes = gaps();
    const many = arrows.length > ARROWS || holes.reduce((sum, [a, b]) => sum + b - a, 0) > 0.6 * span();
    H = many ? 480 : H;
    hits = [];
    names = [];
    const parts = [];
    for (const [a, b, text] of many ? [] : [...holes.map(([a, b]) => [a, b, "only counted here"]), ...quiet()]) {
      const top = y(Math.max(a, view.t0)), low = y(Math.min(b, view.t1));
      parts.push(draw("rect", { class: "hole", x: left, y: top, width: W - left, height: Math.max(low - top, 1) }));
      if (low - top > 18) names.push(label(x(0) + 14, (top + low) / 2 + 4, fit(text, W - x(0) - 20), { class: "small dim halo" }));
    }
    for (const [from, until, text] of data.late.filter(([from, until]) => until > view.t0 && from < view.t1)) {
      const top = y(Math.max(from, view.t0)), low = y(Math.min(until, view.t1));
      parts.push(draw("rect", { class: "band", x: left, y: top, width: W - left, height: Math.max(low - top, 1) }));
    }
    const scale = ticks(view.t0, view.t1, H - TOP, 44);
    for (const [t, text] of scale.found) parts.push(draw("line", { class: "grid", x1: left, x2: W, y1: y(t), y2: y(t) }), label(left - 8, y(t) + 4, text, { class: "small dim", "text-anchor": "end" }));
    if (scale.base) parts.push(label(0, 12, scale.base, { class: "small strong" }));
    data.participants.forEach((name, number) => parts.push(...lifeline(name, number, many)));
    let free = 0, said = "";
    const seen = EVENTS.filter((event) => event.start >= view.t0 && event.start <= view.t1);
    for (const event of seen) {
      if (seen.length > 30) { parts.push(draw("path", { class: "flagged", d: `M${left - 5} ${y(event.start) - 3} v6 l5 -3 Z` })); continue; }
      parts.push(draw("line", { class: "flag", x1: left, x2: W, y1: y(event.start), y2: y(event.start) }));
      if (y(event.start) < free + (said === event.what ? 26 : -30)) continue;  // the same again, or no room
      free = Math.max(y(event.start) - 4, free + 12);
      said = event.what;
      names.push(label(W - 4, free, event.what, { class: "small strong halo", "text-anchor": "end" }));
    }
    if (many) parts.push(...counts(visible, holes.length > 0));
    else parts.push(...arrows.flatMap(arrow()));
    parts.push(...names);
    const total = data.of ? `${data.of.toLocaleString("en")} messages in the run` : `${times.length.toLocaleString("en")} messages`;
    note.textContent = many ? `Too many for arrows here: counted. Zoom in${data.of ? ", near a change of state or an event," : ""} to see each. ${total}.` : `${visible.length} of ${total}; an arrow stands where its message leaves, ${data.usual[0] === data.usual[1] ? length(data.usual[0]) : `${length(data.usual[0])} to ${length(data.usual[1])}`} before it arrives${data.late.length ? ", longer where it is shaded" : ""}.`;
    if (passed) note.textContent += ` ${passed.toLocaleString("en")} adverts of quiet stretches were passed over and are only counted.`;
    if (at >= 0 && hits[at]) parts.push(draw("rect", { class: "chosen", x: hits[at].x0 - 4, y: hits[at].y0 - 5, width: hits[at].x1 - hits[at].x0 + 8, height: hits[at].y1 - hits[at].y0 + 10, rx: 4 }));
    put(svg, { viewBox: `0 0 ${W} ${H}`, height: H }, []);
    svg.style.width = `${W}px`;
    svg.replaceChildren(...parts);
  }
  function lifeline(name, number, many) {
    const own = columns[number].filter((lane) => number >= data.nodes || !which.value || lane.instance === which.value).slice(0, 4);
    const changes = [], parts = [draw("line", { class: "lifeline", x1: x(number), x2: x(number), y1: TOP, y2: H - 4 })], size = Math.min(wide(name) + 18, (W - left) / data.participants.length - 4);
    own.forEach((lane, index) => {
      let last = -99;
      for (let at = first(lane.items, view.t0); at < lane.items.length && lane.items[at].start < view.t1; at++) {
        const item = lane.items[at], a = Math.max(y(item.start), TOP), b = Math.min(y(item.end), H - 4), px = x(number) + (index - own.length / 2) * 8;
        if (b - last < 0.5) continue;
        last = b;
        parts.push(draw("rect", { class: `slice ${item.tone.split(" ")[0]}${b - a < 6 ? " slim" : ""}`, x: px, y: a, width: 8, height: Math.max(b - a, 0.7) }));
        hits.push({ x0: px, x1: px + 8, y0: a, y1: b, lines: tipOf({ label: lane.label }, item), quiet: true });
        if (item.start > view.t0 && b - a > 14 && number < data.nodes) changes.push({ at: a, instance: lane.instance, what: item.what });
      }
    });
    const side = number && !many ? 1 : -1, edge = x(number) + side * (own.length * 4 + 5);
    let lowest_ = -99;
    changes.sort((a, b) => a.at - b.at);
    for (let start = 0, end = 0; start < changes.length; start = end) {
      while (end < changes.length && changes[end].at - changes[start].at < 12) end++;
      const group = changes.slice(start, end), states = [...new Set(group.map((each) => each.what))];
      const text = states.length === 1 && group.length >= own.length ? states[0] : group.map((each) => `${each.instance} ${each.what}`).join(", ");
      if (changes[start].at - lowest_ < 12 || many && number && x(1) - x(0) < 130) continue;
      lowest_ = changes[start].at;
      names.push(label(edge, lowest_ + 13, text, { class: "small strong halo", "text-anchor": side > 0 ? "start" : "end" }));
    }
    return [...parts, draw("rect", { class: "box", x: x(number) - size / 2, y: 4, width: size, height: 22, rx: 5 }), label(x(number), 19, fit(name, size - 8), { class: "strong", "text-anchor": "middle" })];
  }
  /* Messages of one route that stand on the same line are one arrow. */
  function together(visible) {
    const last = new Map(), found = [];
    for (const number of visible) {
      const route = routes[number], before = last.get(route);
      if (before && y(times[number]) - y(before.time) < 3.5) { before.count++; before.until = times[number]; continue; }
      const one = { route, time: times[number], until: times[number], count: 1 };
      last.set(route, one);
      found.push(one);
    }
    return found;
  }
  const TITLE = { advert: (route) => `advert, priority ${route[TEXT]}${route[TEXT] === "0" ? ": resigns" : ""}`, garp: (route) => `gratuitous ${route[TEXT].includes(":") ? "NA" : "ARP"} for ${route[TEXT]}`, reject: (route) => `advert rejected: ${route[TEXT].replaceAll("_", " ")}` };
  const named = (numbers) => numbers.map((number) => data.participants[number]).join(", ");
  function linesOf({ route, time, until, count }) {
    const sender = data.participants[route[FROM]] ?? "a stranger";
    return [`${route[INSTANCE] ? `${route[INSTANCE]} ` : ""}${TITLE[route[KIND]](route)}${count > 1 ? `, ${count} times` : ""}`, `${sender} to ${named(route[TO]) || "nobody here"}`,
      count > 1 ? `${exact(time)} to ${exact(until)}` : `left at ${exact(time)}`, ...late(time).map((text) => `arrives later: ${text}`), route[LOST].length ? `lost for ${named(route[LOST])}: ${route[WHY]}` : ""];
  }
  function arrow() {
    const written = data.participants.map(() => -99), several = data.instances.length > 1 && !which.value;
    return (one) => {
      const { route, time, count } = one, parts = [], at = y(time), kind = route[KIND];
      if (kind === "reject") {
        const px = x(route[TO][0]);
        parts.push(draw("path", { class: "loss", d: `M${px + 9} ${at - 4} l8 8 m0 -8 l-8 8` }));
        hits.push({ x0: px + 6, x1: px + 20, y0: at - 6, y1: at + 6, lines: linesOf(one), time });
        return parts;
      }
      const a = x(route[FROM]), style = `${kind === "garp" ? "garp" : ""}${route[TEXT] === "0" ? " resign" : ""}`;
      const ends = route[TO].length ? route[TO].map(x) : [a + 30];
      route[TO].forEach((number) => {
        const gone = route[LOST].includes(number), b = x(number), way = Math.sign(b - a), stop = gone ? a + (b - a) * 0.72 : b - way * 6;
        parts.push(draw("line", { class: `arrow ${style}${gone ? " lost" : ""}`, x1: a + way * 5, x2: stop, y1: at, y2: at }));
        parts.push(gone ? draw("path", { class: "loss", d: `M${stop - 4} ${at - 4} l8 8 m0 -8 l-8 8` }) : draw("path", { class: `head ${style}`, d: `M${b - way * 4} ${at} l${-way * 7} -3.4 v6.8 Z` }));
      });
      if (kind === "garp") parts.push(draw("path", { class: "head garp", d: `M${a} ${at - 5} l5 5 l-5 5 l-5 -5 Z` }));
      if (!route[TO].length) parts.push(draw("line", { class: `arrow ${style}`, x1: a + 5, x2: a + 30, y1: at, y2: at }));
      const text = (kind === "garp" ? `GARP ${route[TEXT]}` : `${several ? `${route[INSTANCE]} ` : ""}${route[TEXT]}${route[TEXT] === "0" ? " resigns" : ""}`) + (count > 1 ? ` ×${count}` : "") + (route[LOST].length ? " lost" : "");
      const right = Math.max(...ends) > a, room = right ? W - a - 14 : a - left - 14;
      if (at - written[route[FROM]] > 9) {
        parts.push(label(a + (right ? 12 : -12), at - 3, wide(text) < room ? text : text.replace(route[TEXT], "").trim() || text, { class: `small halo${route[LOST].length ? " lost" : ""}`, "text-anchor": right ? "start" : "end" }));
        written[route[FROM]] = at;
      }
      hits.push({ x0: Math.min(a, ...ends), x1: Math.max(a, ...ends), y0: at - 3, y1: at + 3, lines: linesOf(one), time });
      return parts;
    };
  }
  /* Rows of equal time with a bar for each sender. */
  function counts(visible, binned) {
    const least = span() / Math.floor((H - TOP - 8) / 14), base = binned ? 0 : view.t0, table = new Map();
    const width = binned ? Math.ceil(least / data.width) * data.width : least;
    const note_ = (time, sender, adverts, garps, lost) => {
      const key = `${Math.floor((Math.min(time, view.t1 - 1) - base) / width)} ${sender}`, row = table.get(key) ?? [0, 0, 0];
      table.set(key, [row[0] + adverts, row[1] + garps, row[2] + lost]);
    };
    if (binned) {
      for (let at = 0; at < data.bins.length; at += 5) {
        const start = Math.floor((data.bins[at] * data.width) / width) * width;
        if (start + width > view.t0 && start < view.t1) note_(start, data.bins[at + 1], data.bins[at + 2], data.bins[at + 3], data.bins[at + 4]);
      }
    } else for (const number of visible) if (routes[number][KIND] !== "reject") note_(times[number], routes[number][FROM], +(routes[number][KIND] === "advert"), +(routes[number][KIND] === "garp"), +(routes[number][LOST].length > 0));
    const most = Math.max(1, ...[...table.values()].map((row) => row[0] + row[1])), room = ((W - left) / data.participants.length) * 0.62;
    return [...table.entries()].flatMap(([key, [adverts, garps, lost]]) => {
      const [row, sender] = key.split(" ").map(Number), start = base + row * width, top = Math.max(TOP, Math.min((y(start) + y(start + width)) / 2 - 7, H - 22)), a = x(sender) + 8, size = Math.max(((adverts + garps) / most) * room, 2);
      hits.push({ x0: a - 14, x1: a + room, y0: top, y1: top + 14, time: start, lines: [`${data.participants[sender]}: ${adverts} adverts, ${garps} gratuitous frames`, `${exact(Math.max(Math.round(start), 0))} and ${length(Math.round(width))} after it`, lost ? `${lost} of them lost for somebody` : ""] });
      return [draw("rect", { class: "count", x: a, y: top + 1, width: size, height: 11, rx: 2 }), lost ? draw("rect", { class: "silent", x: a, y: top + 1, width: Math.max((lost / most) * room, 3), height: 11, rx: 2 }) : "",
        label(a + size + 4, top + 10, `${adverts + garps}${lost ? `, ${lost} lost` : ""}`, { class: "small dim" })].filter(Boolean);
    });
  }

  const place = (event) => { const area = svg.getBoundingClientRect(); return [event.clientX - area.left, event.clientY - area.top]; };
  function point(event) {
    const [px, py] = place(event);
    const away = (hit) => Math.max(hit.x0 - px, px - hit.x1, 0) + Math.abs(Math.min(Math.max(py, hit.y0), hit.y1) - py) + (hit.quiet ? 1 : 0);
    const hit = hits.filter((each) => away(each) < 7).sort((a, b) => away(a) - away(b))[0];
    if (hit) showTip(hit.lines, event.clientX, event.clientY);
    else hideTip();
  }
  box.addEventListener("pointermove", point);
  box.addEventListener("pointerup", point);
  box.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") hideTip(); });
  box.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoom(Math.exp(Math.max(Math.min(event.deltaY, 200), -200) / 260), view.t0 + ((place(event)[1] - TOP) / (H - TOP - 8)) * span());
  }, { passive: false });
  box.addEventListener("keydown", (event) => {
    const by = { ".": 1, ",": -1 }[event.key], way = { ArrowDown: 0.2, ArrowUp: -0.2 }[event.key];
    if (way) { pan(way); event.preventDefault(); } else if (by) {
      const said = hits.map((hit, number) => [hit.time, number]).filter(([time]) => time !== undefined).sort((a, b) => a[0] - b[0]).map(([, number]) => number);
      if (!said.length) return;
      at = said[(said.indexOf(at) + by + said.length) % said.length];
      render();
      const area = svg.getBoundingClientRect();
      showTip(hits[at].lines, area.left + (hits[at].x0 + hits[at].x1) / 2, area.top + hits[at].y1, true);
    } else obey(event);
  });
  box.addEventListener("blur", () => { at = -1; hideTip(); });
  onView(() => { at = -1; render(); });
  new ResizeObserver(refresh).observe(box);
  return el("section", { class: "card", id: "sequence", "aria-label": "Sequence" }, el("div", { class: "row" }, el("h2", {}, "Sequence of the visible window"), el("span", { class: "push" }), data.instances.length > 1 ? which : ""), box,
    el("p", {}, note), el("p", { class: "dim" }, "Arrow: advert with its priority; ✕: lost, or rejected by the receiver; ◆ dotted: gratuitous ARP or NA. The columns are the states of the lanes above. Ctrl and wheel zoom."));
}
