"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const el = (id) => document.getElementById(id);
  const make = (tag, text, name) => {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    if (name) node.className = name;
    return node;
  };
  const canvas = el("canvas"), overview = el("overview"), details = el("details"), tip = el("tip");

  // ---- the model

  const events = new Map(data.events.map(([n, at, title, cause, facts]) =>
    [n, { n, at, title, cause, facts, marks: [], leads: [] }]));
  for (const event of events.values()) {
    if (event.cause !== null && events.has(event.cause)) events.get(event.cause).leads.push(event.n);
    for (const [, cause] of event.facts) {
      if (cause !== null && cause !== event.cause && events.has(cause)) events.get(cause).leads.push(event.n);
    }
  }
  const marks = data.marks.map(([event, lane, kind, request], index) => {
    const mark = { index, event: events.get(event), lane, kind, request };
    mark.event.marks.push(mark);
    return mark;
  });
  const arrows = data.arrows.map(([event, from, to, kind, request]) => {
    const at = events.get(event);
    const cause = at.cause === null ? undefined : events.get(at.cause);
    return { event: at, from, to, kind, request, start: cause ? cause.at : null };
  });
  const chain = new Set(data.chain);
  const broken = data.broken && events.get(data.broken.event);
  // The mark that was wrong is the one where the proxy acted: not where the loop woke.
  const brokenMark = broken && (broken.marks.findLast((m) => data.lanes[m.lane].kind === "session") || broken.marks.at(-1));

  // Two scales: true time, and one in which a pause takes room by its logarithm only.
  const times = [...new Set([...events.values()].map((e) => e.at))].sort((a, b) => a - b);
  const packed = new Float64Array(times.length);
  for (let i = 1; i < times.length; i++) packed[i] = packed[i - 1] + 1 + 2.5 * Math.log2(1 + times[i] - times[i - 1]);
  let isReal = false;
  const below = (list, value) => {
    let low = 0, high = list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (list[middle] < value) low = middle + 1; else high = middle;
    }
    return low;
  };
  const scaled = (at) => {
    if (isReal) return at - times[0];
    const i = below(times, at);
    if (i === 0) return 0;
    if (i >= times.length) return packed[packed.length - 1];
    if (times[i] === at) return packed[i];
    const part = (at - times[i - 1]) / (times[i] - times[i - 1]);
    return packed[i - 1] + part * (packed[i] - packed[i - 1]);
  };
  const unscaled = (x) => {
    if (isReal) return x + times[0];
    const i = below(packed, x);
    if (i === 0) return times[0];
    if (i >= times.length) return times[times.length - 1];
    const part = (x - packed[i - 1]) / (packed[i] - packed[i - 1]);
    return times[i - 1] + part * (times[i] - times[i - 1]);
  };
  const place = () => {
    for (const event of events.values()) event.x = scaled(event.at);
    for (const arrow of arrows) arrow.x0 = arrow.start === null ? arrow.event.x : scaled(arrow.start);
    for (const band of data.bands) { band.x0 = scaled(band[0]); band.x1 = scaled(band[1]); }
    for (const phase of data.phases) phase.x = scaled(phase[0]);
    span = Math.max(1, scaled(times[times.length - 1]));
  };

  // ---- the view

  const GUTTER = 132, TOP = 22, GAP = 14;
  let LANE = 26;
  let span = 1, scale = 1, left = 0, top = 0, selected = null, hovered = null, filter = null, onlyLed = false, hidesIdle = true, drag = null;
  let shown = [], laneY = [], height = 0, colours = {};
  const style = () => {
    const css = getComputedStyle(document.documentElement);
    for (const name of ["bg", "panel", "line", "text", "dim", "accent", "red", "red-soft", "band", "band-edge", "lane", "grey", "chain", "light", "sat"]) {
      colours[name] = css.getPropertyValue("--" + name).trim();
    }
  };
  const hue = (request) => (request * 137.508 + 205) % 360;
  const colour = (request, alpha) => request === null || request === undefined
    ? colours.grey
    : `hsl(${hue(request)} ${colours.sat} ${colours.light}${alpha === undefined ? "" : " / " + alpha})`;

  const isOf = (thing) => (filter === null || thing.request === filter || chain.has(thing.event.n) && thing.event === broken)
    && (!onlyLed || chain.has(thing.event.n));
  const layout = () => {
    shown = marks.filter(isOf).sort((a, b) => a.event.x - b.event.x || a.index - b.index);
    arrowsShown = arrows.filter(isOf).sort((a, b) => a.event.x - b.event.x);
    arrange();
  };
  // Lanes that have something to show: in the part of the run that is in view, if idle ones are
  // hidden. What is selected keeps its place on the screen.
  const arrange = () => {
    const lanes = new Set(), { w } = size();
    const from = hidesIdle ? left : -Infinity, to = hidesIdle ? left + (w - GUTTER) / scale : Infinity;
    for (const mark of shown) if (mark.event.x >= from && mark.event.x <= to) lanes.add(mark.lane);
    for (const arrow of arrowsShown) {
      if (arrow.event.x >= from && arrow.x0 <= to) { lanes.add(arrow.from); lanes.add(arrow.to); }
    }
    if (selected && isOf(selected)) lanes.add(selected.lane);
    const before = selected && laneY[selected.lane];
    // Few lanes share the room there is.
    LANE = Math.min(44, Math.max(24, Math.floor((size().h - TOP - 120) / Math.max(1, lanes.size))));
    laneY = []; let y = TOP + 6, kind = null;
    data.lanes.forEach((lane, n) => {
      const isFixed = lane.kind === "world" && data.bands.length + data.phases.length > 0;
      if (!lanes.has(n) && !isFixed) return;
      if (kind !== null && lane.kind !== "session" && (kind !== lane.kind || lane.kind === "client")) y += kind === "client" ? 3 : GAP;
      kind = lane.kind;
      laneY[n] = y + LANE / 2;
      y += LANE;
    });
    height = y + 30;
    const behind = selected && laneY[selected.lane];
    if (before !== undefined && before !== null && behind !== undefined) top += behind - before;
    top = Math.min(Math.max(top, 0), Math.max(0, height - size().h));
  };
  let arrowsShown = [], later = 0;
  // Only once the view rests: lanes that come and go under a hand that drags confuse.
  const arrangeSoon = () => {
    if (!hidesIdle) return;
    clearTimeout(later);
    later = setTimeout(() => { if (!drag) { arrange(); draw(); } }, 160);
  };
  const size = () => ({ w: canvas.clientWidth, h: canvas.clientHeight });
  const px = (x) => GUTTER + (x - left) * scale;
  const clamp = () => {
    const { w, h } = size();
    const room = Math.max(50, w - GUTTER);
    scale = Math.min(Math.max(scale, room / (span * 1.1)), isReal ? 50 : 400);
    left = Math.min(Math.max(left, -room * 0.5 / scale), span + room * 0.5 / scale - room / scale * 0.5);
    top = Math.min(Math.max(top, 0), Math.max(0, height - h));
  };
  const show = (from, to) => {
    const room = Math.max(50, size().w - GUTTER);
    scale = room / Math.max(to - from, isReal ? 10 : 12);
    left = (from + to) / 2 - room / 2 / scale;
    clamp(); arrange(); draw();
  };
  const fit = () => show(-span * 0.03, span * 1.03);
  const centre = (event, mark) => {
    const { w, h } = size(), x = px(event.x);
    if (x < GUTTER + 40 || x > w - 60) left = event.x - (w - GUTTER) / 2 / scale;
    const y = mark && laneY[mark.lane];
    if (y !== undefined && (y - top < TOP + LANE || y - top > h - LANE)) top = y - h / 2;
    clamp();
    if (hidesIdle && laneY[mark ? mark.lane : 0] === undefined) arrange();
  };

  // ---- drawing

  const text = (at) => {
    const micros = Math.floor(at);
    return `${Math.floor(micros / 1e6)}.${String(micros % 1e6).padStart(6, "0")} s`;
  };
  // Forms tell kinds apart without colours.
  const FORMS = {
    recv: "in", send: "out", data: "dot", syn: "dot", fin: "bar", rst: "cross", close: "cross",
    accept: "ring", connect: "ring", ask: "square", answer: "square", fault: "diamond", operation: "diamond",
    turn: "tick", ready: "tick", phase: "tick", call: "tick", note: "dot", held: "dot",
  };
  const form = (g, kind, x, y, r) => {
    const shape = FORMS[kind] || "dot";
    g.beginPath();
    switch (shape) {
      case "in": g.moveTo(x - r, y - r); g.lineTo(x + r, y - r); g.lineTo(x, y + r * 0.9); g.closePath(); g.fill(); break;
      case "out": g.moveTo(x - r, y + r); g.lineTo(x + r, y + r); g.lineTo(x, y - r * 0.9); g.closePath(); g.fill(); break;
      case "square": g.fillRect(x - r * 0.85, y - r * 0.85, r * 1.7, r * 1.7); break;
      case "diamond": g.moveTo(x, y - r * 1.2); g.lineTo(x + r * 1.2, y); g.lineTo(x, y + r * 1.2); g.lineTo(x - r * 1.2, y); g.closePath(); g.fill(); break;
      case "ring": g.arc(x, y, r * 0.85, 0, 7); g.lineWidth = 2; g.stroke(); break;
      case "cross": g.moveTo(x - r * 0.8, y - r * 0.8); g.lineTo(x + r * 0.8, y + r * 0.8); g.moveTo(x + r * 0.8, y - r * 0.8); g.lineTo(x - r * 0.8, y + r * 0.8); g.lineWidth = 2.2; g.stroke(); break;
      case "bar": g.fillRect(x - 1.5, y - r, 3, r * 2); break;
      case "tick": g.fillRect(x - 0.75, y - r * 0.9, 1.5, r * 1.8); break;
      default: g.arc(x, y, r * 0.6, 0, 7); g.fill();
    }
  };
  const prepare = (node) => {
    const ratio = window.devicePixelRatio || 1;
    const w = node.clientWidth, h = node.clientHeight;
    if (node.width !== Math.round(w * ratio) || node.height !== Math.round(h * ratio)) {
      node.width = Math.round(w * ratio); node.height = Math.round(h * ratio);
    }
    const g = node.getContext("2d");
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, w, h);
    g.font = "11px system-ui, 'DejaVu Sans', sans-serif";
    g.textBaseline = "middle";
    return { g, w, h };
  };
  let pending = false, drawn = "";
  const draw = () => {
    const now = left + " " + scale;
    if (now !== drawn) { drawn = now; arrangeSoon(); }
    if (pending) return;
    pending = true;
    requestAnimationFrame(() => { pending = false; paint(); paintOverview(); });
  };
  const paint = () => {
    const { g, w, h } = prepare(canvas);
    const from = left - 20 / scale, to = left + (w - GUTTER + 20) / scale;
    g.save();
    g.beginPath(); g.rect(GUTTER, 0, w - GUTTER, h); g.clip();
    paintLanes(g, w, h);
    g.save();
    g.beginPath(); g.rect(GUTTER, TOP, w - GUTTER, h - TOP); g.clip();
    g.translate(0, -top);
    paintBands(g, from, to, h);
    paintArrows(g, from, to);
    paintMarks(g, from, to);
    paintSelection(g);
    g.restore();
    paintAxis(g, w, h);
    g.restore();
    paintNames(g, w, h);
  };
  const paintLanes = (g, w, h) => {
    data.lanes.forEach((lane, n) => {
      if (laneY[n] === undefined) return;
      const y = laneY[n] - top;
      if (y < -LANE || y > h + LANE) return;
      g.fillStyle = colours.lane;
      if (lane.kind === "session" || lane.kind === "proxy") g.fillRect(GUTTER, y - LANE / 2 + 1, w, LANE - 2);
      g.fillStyle = colours.line;
      g.fillRect(GUTTER, y, w, 0.5);
    });
  };
  const paintBands = (g, from, to, h) => {
    for (const phase of data.phases) {
      if (phase.x < from || phase.x > to) continue;
      g.fillStyle = colours.dim; g.globalAlpha = 0.5;
      g.fillRect(px(phase.x), top, 1, h); g.globalAlpha = 1;
    }
    const y = laneY[data.lanes.findIndex((lane) => lane.kind === "world")];
    data.bands.forEach((band, n) => {
      if (band.x1 < from || band.x0 > to || y === undefined) return;
      const x0 = Math.max(px(band.x0), GUTTER - 4), x1 = Math.min(px(band.x1), w_() + 4);
      g.fillStyle = colours.band; g.fillRect(x0, top + TOP, Math.max(2, x1 - x0), h);
      g.strokeStyle = colours["band-edge"]; g.lineWidth = 1.5;
      const row = y - 9 + (n % 4) * 6;
      g.beginPath(); g.moveTo(x0, row); g.lineTo(Math.max(x0 + 2, x1), row); g.stroke();
      if (x1 - x0 > 90) {
        g.fillStyle = colours["band-edge"];
        g.save(); g.beginPath(); g.rect(x0, y - 30, x1 - x0 - 4, 60); g.clip();
        g.fillText(band[2], Math.max(x0, GUTTER) + 4, row + 7); g.restore();
      }
    });
  };
  const w_ = () => canvas.clientWidth;
  const paintArrows = (g, from, to) => {
    for (const arrow of arrowsShown) {
      if (arrow.event.x < from || arrow.x0 > to) continue;
      const x0 = px(arrow.x0), x1 = px(arrow.event.x);
      const y0 = laneY[arrow.from], y1 = laneY[arrow.to];
      if (y0 === undefined || y1 === undefined) continue;
      const isLed = chain.has(arrow.event.n);
      g.strokeStyle = arrow.kind === "rst" ? colours.red : colour(arrow.request);
      g.globalAlpha = isLed ? 1 : filter !== null ? 0.8 : 0.45;
      g.lineWidth = isLed ? 2.2 : 1.1;
      g.setLineDash(arrow.kind === "syn" ? [2, 3] : arrow.kind === "fin" ? [7, 3] : arrow.kind === "rst" ? [4, 2] : []);
      g.beginPath(); g.moveTo(x0, y0); g.lineTo(x1, y1); g.stroke();
      g.setLineDash([]);
    }
    g.globalAlpha = 1;
  };
  const radius = () => Math.min(6.5, 3 + scale * 0.35);
  const paintMarks = (g, from, to) => {
    const r = radius();
    const labels = scale > 7;
    const ends = [];
    for (let i = lower(from); i < shown.length && shown[i].event.x <= to; i++) {
      const mark = shown[i], x = px(mark.event.x), y = laneY[mark.lane];
      if (y === undefined || y - top < -LANE) continue;
      const isBroken = mark === brokenMark;
      g.fillStyle = g.strokeStyle = isBroken ? colours.red
        : mark.kind === "fault" ? colours["band-edge"] : colour(mark.request);
      if (isBroken) {
        g.save(); g.globalAlpha = 0.9; g.lineWidth = 2;
        g.strokeRect(x - 0.5, top, 0.5, canvas.clientHeight);
        g.restore();
        form(g, "fault", x, y, 9);
        g.fillStyle = colours.red; g.font = "600 11px system-ui, 'DejaVu Sans', sans-serif";
        const label = data.broken.rule + " broken";
        const wide = g.measureText(label).width;
        const side = x + wide + 22 > w_() ? x - wide - 16 : x + 13;
        g.fillStyle = colours.bg; g.fillRect(side - 3, y - 18, wide + 6, 15);
        g.fillStyle = colours.red; g.fillText(label, side, y - 10);
        g.font = "11px system-ui, 'DejaVu Sans', sans-serif";
        continue;
      }
      form(g, mark.kind, x, y, r);
      if (labels && mark.request !== null && (mark.kind === "ask" || mark.kind === "answer") && !(ends[mark.lane] > x)) {
        const label = (mark.kind === "ask" ? "asks " : "answers ") + mark.request;
        g.fillStyle = colours.bg; g.globalAlpha = 0.75;
        g.fillRect(x + r + 1, y - 14, g.measureText(label).width + 4, 12); g.globalAlpha = 1;
        g.fillStyle = colours.text; g.fillText(label, x + r + 3, y - 8);
        ends[mark.lane] = x + r + 10 + g.measureText(label).width;
      }
    }
  };
  const lower = (x) => {
    let low = 0, high = shown.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (shown[middle].event.x < x) low = middle + 1; else high = middle;
    }
    return low;
  };
  const paintSelection = (g) => {
    if (hovered && hovered !== selected) ring(g, hovered, colours.dim);
    if (!selected) return;
    // What caused it, and what that was caused by, as a line through the lanes.
    let mark = selected, steps = 0;
    const seen = new Set();
    while (mark && steps++ < 40) {
      const cause = causeOf(mark);
      if (!cause || seen.has(cause)) break;
      seen.add(cause);
      const y0 = laneY[cause.lane], y1 = laneY[mark.lane];
      if (y0 !== undefined && y1 !== undefined) {
        g.strokeStyle = colours.accent; g.globalAlpha = steps === 1 ? 0.95 : 0.5; g.lineWidth = 1.6;
        const x0 = px(cause.event.x), x1 = px(mark.event.x), bend = Math.min(60, Math.abs(x1 - x0) / 2);
        g.beginPath(); g.moveTo(x0, y0); g.bezierCurveTo(x0 + bend, y0, x1 - bend, y1, x1, y1); g.stroke();
        g.globalAlpha = 1;
      }
      mark = cause;
    }
    ring(g, selected, colours.accent);
  };
  const ring = (g, mark, stroke) => {
    if (laneY[mark.lane] === undefined) return;
    g.strokeStyle = stroke; g.lineWidth = 2;
    g.beginPath(); g.arc(px(mark.event.x), laneY[mark.lane], radius() + 5, 0, 7); g.stroke();
  };
  const paintAxis = (g, w, h) => {
    g.fillStyle = colours.bg; g.fillRect(GUTTER, 0, w, TOP);
    g.fillStyle = colours.line; g.fillRect(GUTTER, TOP - 0.5, w, 1);
    let end = GUTTER - 100;
    g.fillStyle = colours.dim;
    for (let x = GUTTER + 8; x < w - 90; x += 118) {
      const at = unscaled(left + (x - GUTTER) / scale);
      g.fillRect(x, TOP - 5, 1, 5);
      g.fillText(text(at), x + 4, TOP / 2 - 1);
    }
    for (const phase of data.phases) {
      const x = px(phase.x);
      if (x < GUTTER || x > w || x < end + 4) continue;
      const label = phase[1].replace("phase ", "");
      const wide = g.measureText(label).width;
      g.fillStyle = colours.bg; g.globalAlpha = 0.85; g.fillRect(x + 2, h - 17, wide + 5, 14); g.globalAlpha = 1;
      g.fillStyle = colours.dim; g.fillText(label, x + 4, h - 10);
      end = x + wide;
    }
  };
  const paintNames = (g, w, h) => {
    g.fillStyle = colours.bg; g.fillRect(0, 0, GUTTER, h);
    g.fillStyle = colours.line; g.fillRect(GUTTER - 0.5, 0, 1, h);
    g.save(); g.beginPath(); g.rect(0, TOP, GUTTER, h - TOP); g.clip();
    g.textAlign = "right";
    data.lanes.forEach((lane, n) => {
      if (laneY[n] === undefined) return;
      const y = laneY[n] - top;
      if (y < 0 || y > h + LANE) return;
      const isOn = selected && selected.lane === n;
      g.fillStyle = isOn ? colours.accent : lane.kind === "session" || lane.kind === "proxy" ? colours.text : colours.dim;
      g.fillText(lane.name, GUTTER - 10, y);
    });
    g.restore(); g.textAlign = "left";
  };
  const paintOverview = () => {
    const { g, w, h } = prepare(overview);
    const wide = w - GUTTER, per = wide / (span * 1.04), at = (x) => GUTTER + (x + span * 0.02) * per;
    const columns = new Map();
    for (const mark of shown) {
      const column = Math.round(at(mark.event.x));
      columns.set(column, (columns.get(column) || 0) + 1);
    }
    g.fillStyle = colours.grey;
    for (const [x, count] of columns) {
      const tall = Math.min(h - 8, 3 + 4 * Math.log2(count));
      g.fillRect(x, h - 4 - tall, 1, tall);
    }
    for (const band of data.bands) {
      g.fillStyle = colours["band-edge"]; g.fillRect(at(band.x0), h - 3, Math.max(1, at(band.x1) - at(band.x0)), 2);
    }
    if (broken) { g.fillStyle = colours.red; g.fillRect(at(broken.x) - 1, 0, 3, h); }
    g.strokeStyle = colours.accent; g.lineWidth = 1.5; g.fillStyle = colours.accent; g.globalAlpha = 0.12;
    const x0 = Math.max(GUTTER, at(left)), x1 = Math.min(w, at(left + (size().w - GUTTER) / scale));
    g.fillRect(x0, 1, Math.max(3, x1 - x0), h - 2); g.globalAlpha = 1;
    g.strokeRect(x0, 1, Math.max(3, x1 - x0), h - 2);
    g.fillStyle = colours.dim; g.textAlign = "right"; g.fillText("whole run", GUTTER - 10, h / 2); g.textAlign = "left";
  };

  // ---- causes, and what a selection tells

  const markOf = (n, lane) => {
    const event = events.get(n);
    if (!event) return null;
    const visible = event.marks.filter(isOf);
    const all = visible.length ? visible : event.marks;
    return all.find((m) => m.lane === lane) || all.find((m) => m.request !== null) || all[0] || null;
  };
  // Readiness explains what a turn did for a session better than what woke the loop first.
  const causeNumber = (mark) => {
    const facts = factsOf(mark);
    for (let i = facts.length - 1; i >= 0; i--) if (facts[i][1] !== null && events.has(facts[i][1])) return facts[i][1];
    return mark.event.cause;
  };
  const causeOf = (mark) => {
    const n = causeNumber(mark);
    return n === null || n === mark.event.n ? null : markOf(n, mark.lane);
  };
  const laneWord = (mark) => {
    const lane = data.lanes[mark.lane];
    return lane.kind === "session" ? `connection ${lane.name.split(" ")[1]} ` : `${lane.name} `;
  };
  const factsOf = (mark) => mark.event.facts.filter(([words]) => (words + " ").includes(laneWord(mark)));
  const link = (n, words) => {
    const a = make("a", words);
    a.href = "#" + n;
    a.onclick = (e) => { e.preventDefault(); const mark = markOf(n, selected && selected.lane); if (mark) select(mark, true); };
    return a;
  };
  const select = (mark, moves) => {
    selected = mark;
    if (mark && !isOf(mark)) showAll();
    if (mark && laneY[mark.lane] === undefined) arrange();
    if (mark && moves) centre(mark.event, mark);
    describe(); draw();
  };
  const showAll = () => {
    filter = null; onlyLed = false; el("request").value = ""; el("led").checked = false; layout();
  };
  const heading = (words) => details.append(make("h3", words));
  const list = (rows, name) => {
    const ul = make("ul");
    for (const row of rows) {
      const li = make("li", undefined, name);
      if (row instanceof Node) li.append(row); else { li.textContent = row; if (row.length > 140) li.classList.add("long"); }
      ul.append(li);
    }
    details.append(ul);
  };
  const describe = () => {
    details.replaceChildren();
    details.dataset.event = selected ? selected.event.n : "";
    if (!selected) return welcome();
    const event = selected.event;
    details.append(make("h2", event.title));
    details.append(make("div", `event ${event.n} at ${text(event.at)}`, "when"));
    if (broken === event) {
      heading("Broken here");
      list([`${data.broken.rule}: ${data.broken.message}`], "rule");
    }
    const here = new Set(factsOf(selected)), own = [], others = [];
    for (const fact of event.facts) (here.has(fact) ? own : others).push(fact);
    const row = ([words, cause]) => {
      if (cause === null || !events.has(cause)) return words;
      const span = make("span", words + " ");
      span.append(link(cause, `because of event ${cause}`));
      return span;
    };
    const lane = data.lanes[selected.lane].name;
    if (own.length) { heading(`In this event, of ${lane}`); list(own.map(row), "here"); }
    if (others.length) { heading(own.length ? "And besides" : "In this event"); list(others.slice(0, 60).map(row)); }
    if (others.length > 60) details.append(make("div", `and ${others.length - 60} more`, "when"));
    heading("Caused by");
    const causes = new Set([causeNumber(selected), event.cause].filter((n) => n !== null && n !== event.n));
    const known = [...causes].filter((n) => events.has(n));
    list(known.length ? known.map((n) => {
      const cause = events.get(n);
      const div = make("span"); div.append(link(n, `event ${n}`), `: ${cause.title}, ${ago(event.at - cause.at)} before`);
      return div;
    }) : [causes.size ? "an event that is not drawn" : "the start of the run"]);
    if (event.leads.length) {
      heading("Led to");
      list([...new Set(event.leads)].slice(0, 12).map((n) => {
        const next = events.get(n);
        const div = make("span"); div.append(link(n, `event ${n}`), `: ${next.title}, ${ago(next.at - event.at)} later`);
        return div;
      }));
    }
    if (selected.request !== null) {
      const request = data.requests[selected.request];
      heading(`Request ${selected.request}`);
      const only = make("a", "show only this request"); only.href = "#";
      only.onclick = (e) => { e.preventDefault(); setFilter(filter === selected.request ? null : selected.request); };
      list([request.ask, ...request.facts]); details.append(only);
    }
    const facts = data.lanes[selected.lane].facts;
    if (facts) { heading(lane); list(facts); }
  };
  const ago = (micros) => micros >= 1e6 ? `${(micros / 1e6).toFixed(3)} s` : micros >= 1000 ? `${(micros / 1000).toFixed(1)} ms` : `${micros.toFixed(1)} us`;
  const KEYS = [["v", "the violation"], ["c", "the cause of what is selected"], ["left / right", "the event before, behind, in its lane"],
    ["up / down", "the nearest event in the lane above, below"], ["Enter", "read the selected event"], ["a / d", "move left, right"], ["w / s", "zoom in, out"],
    ["f", "fit the run"], ["r", "only the request of what is selected"], ["l", "only what led to the violation"], ["t", "true time scale"], ["Escape", "select and filter nothing"]];
  const welcome = () => {
    details.append(make("h2", "How to read this"));
    details.append(make("p", "Time goes to the right. An arrow is what travelled, from where it was sent to where it arrived; a mark is what somebody did. Click one to see what it was and what caused it."));
    details.append(make("p", isReal ? "" : "Pauses are drawn shorter than they are, by their logarithm; the axis tells the time."));
    keys();
  };
  const keys = () => {
    heading("Keys");
    const dl = make("dl");
    for (const [key, words] of KEYS) {
      const dt = make("dt"); dt.append(make("kbd", key));
      dl.append(dt, make("dd", words));
    }
    details.append(dl);
    details.append(make("p", "Drag to move, turn the wheel to scroll the lanes, with Ctrl to zoom, with Shift to move in time."));
  };

  // ---- input

  const hit = (cx, cy) => {
    if (cx < GUTTER || cy < TOP) return null;
    const x = left + (cx - GUTTER) / scale, reach = 12 / scale;
    let best = null, near = 14;
    for (let i = lower(x - reach); i < shown.length && shown[i].event.x <= x + reach; i++) {
      const mark = shown[i], y = laneY[mark.lane];
      if (y === undefined) continue;
      let d = Math.hypot(px(mark.event.x) - cx, y - top - cy);
      if (mark === brokenMark) d -= 4;
      if (d < near) { near = d; best = mark; }
    }
    return best;
  };
  const zoom = (factor, cx) => {
    const at = cx === undefined ? (selected ? px(selected.event.x) : (w_() + GUTTER) / 2) : cx;
    const x = left + (at - GUTTER) / scale;
    scale *= factor;
    clampScale();
    left = x - (at - GUTTER) / scale;
    clamp(); draw();
  };
  const clampScale = () => { const keep = left; clamp(); left = keep; };
  const setFilter = (request) => {
    filter = request; el("request").value = request === null ? "" : String(request);
    refit();
  };
  const refit = () => {
    layout(); top = 0;
    if (filter !== null || onlyLed) {
      const xs = shown.map((m) => m.event.x);
      if (xs.length) { const a = Math.min(...xs.slice(0, 1)), b = xs[xs.length - 1], pad = (b - a) * 0.06 + 8; show(a - pad, b + pad); }
    }
    clamp(); describe(); draw();
  };
  const toBroken = () => {
    if (!broken) return;
    const xs = data.chain.slice(0, 8).filter((n) => events.has(n)).map((n) => events.get(n).x);
    const first = Math.min(...xs, broken.x - 60), wide = Math.min(broken.x - first, isReal ? span : 420);
    select(brokenMark, true);
    show(broken.x - wide - 12, broken.x + wide * 0.35 + 12);
    centre(broken, brokenMark);
  };
  canvas.addEventListener("pointerdown", (e) => {
    drag = { x: e.offsetX, y: e.offsetY, left, top, moved: false };
    try { canvas.setPointerCapture(e.pointerId); } catch { /* the pointer is gone already */ }
  });
  canvas.addEventListener("pointermove", (e) => {
    if (drag) {
      if (Math.abs(e.offsetX - drag.x) + Math.abs(e.offsetY - drag.y) > 4) drag.moved = true;
      if (drag.moved) {
        canvas.classList.add("drags"); tip.hidden = true;
        left = drag.left - (e.offsetX - drag.x) / scale; top = drag.top - (e.offsetY - drag.y);
        clamp(); draw();
      }
      return;
    }
    const mark = hit(e.offsetX, e.offsetY);
    canvas.classList.toggle("points", mark !== null);
    if (mark !== hovered) { hovered = mark; draw(); }
    tip.hidden = mark === null;
    if (mark) {
      const own = factsOf(mark);
      const words = own.length ? own[own.length - 1][0] : mark.event.title;
      tip.textContent = `${text(mark.event.at)}: ${words.length > 160 ? words.slice(0, 160) + " ..." : words}`;
      const isRight = e.offsetX > w_() * 0.6;
      tip.style.left = isRight ? "" : e.offsetX + 14 + "px";
      tip.style.right = isRight ? w_() - e.offsetX + 14 + "px" : "";
      tip.style.top = e.offsetY + 50 + "px";
    }
  });
  canvas.addEventListener("pointerup", (e) => {
    if (drag && !drag.moved) select(hit(e.offsetX, e.offsetY), false);
    drag = null; canvas.classList.remove("drags"); arrangeSoon();
  });
  canvas.addEventListener("pointerleave", () => { tip.hidden = true; hovered = null; draw(); });
  canvas.addEventListener("wheel", (e) => {
    e.preventDefault();
    if (e.ctrlKey || e.metaKey) return zoom(Math.exp(-e.deltaY * 0.0025), e.offsetX);
    const dx = e.shiftKey ? e.deltaY : e.deltaX;
    left += dx / scale;
    if (!e.shiftKey) top += e.deltaY;
    clamp(); draw();
  }, { passive: false });
  const seek = (e) => {
    const per = (overview.clientWidth - GUTTER) / (span * 1.04);
    left = (e.offsetX - GUTTER) / per - span * 0.02 - (w_() - GUTTER) / 2 / scale;
    clamp(); draw();
  };
  overview.addEventListener("pointerdown", (e) => { seek(e); overview.onpointermove = (m) => { if (m.buttons) seek(m); }; });
  const step = (by) => {
    const lane = selected ? shown.filter((m) => m.lane === selected.lane) : shown;
    const i = lane.indexOf(selected);
    const next = i < 0 ? lane.find((m) => px(m.event.x) > GUTTER) : lane[i + by];
    if (next) select(next, true);
  };
  const hop = (by) => {
    if (!selected) return step(1);
    const lanes = data.lanes.map((_, n) => n).filter((n) => laneY[n] !== undefined);
    for (let i = lanes.indexOf(selected.lane) + by; i >= 0 && i < lanes.length; i += by) {
      const all = shown.filter((m) => m.lane === lanes[i]);
      if (!all.length) continue;
      const d = (m) => Math.abs(m.event.x - selected.event.x);
      return select(all.reduce((a, b) => (d(b) < d(a) ? b : a)), true);
    }
  };
  const KEYED = {
    v: toBroken, c: () => { const cause = selected && causeOf(selected); if (cause) select(cause, true); }, f: fit,
    ArrowLeft: () => step(-1), ArrowRight: () => step(1), ArrowUp: () => hop(-1), ArrowDown: () => hop(1),
    a: () => { left -= 90 / scale; clamp(); draw(); }, d: () => { left += 90 / scale; clamp(); draw(); },
    w: () => zoom(1.3), s: () => zoom(1 / 1.3), "+": () => zoom(1.3), "=": () => zoom(1.3), "-": () => zoom(1 / 1.3),
    r: () => setFilter(filter === null && selected ? selected.request : null),
    l: () => el("led").click(), t: () => el("real").click(), "?": () => { selected = null; describe(); draw(); },
    Enter: () => { details.tabIndex = -1; details.focus(); },
    Escape: () => { selected = null; if (filter !== null || onlyLed) { onlyLed = false; el("led").checked = false; setFilter(null); } describe(); draw(); },
  };
  document.addEventListener("keydown", (e) => {
    if (e.target.tagName === "SELECT" || e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.key === "Enter" && e.target !== canvas && e.target !== document.body) return;
    const act = KEYED[e.key];
    if (act) { e.preventDefault(); act(); }
  });

  // ---- the page around it

  const verdict = el("verdict");
  if (data.broken) {
    const h1 = make("h1");
    h1.append(make("span", `${data.broken.rule} broken`, "broken"), ` at ${text(data.broken.at)}, event ${data.broken.event}: ${data.title}`);
    verdict.append(h1);
    if (data.broken.text) verdict.append(make("p", data.broken.text));
    verdict.append(make("p", data.broken.message, "message"));
  } else {
    verdict.append(make("h1", `${data.title}: no rule broken`));
  }
  verdict.append(make("p", data.outcome));
  const menu = el("request");
  data.requests.forEach((request, n) => menu.append(new Option(`${n}: ${request.ask}`, n)));
  menu.onchange = () => setFilter(menu.value === "" ? null : Number(menu.value));
  el("led").onchange = (e) => { onlyLed = e.target.checked; refit(); };
  el("led").disabled = el("to-broken").disabled = !broken;
  el("busy").onchange = (e) => { hidesIdle = e.target.checked; arrange(); draw(); };
  el("real").onchange = (e) => {
    const at = selected ? selected.event.at : unscaled(left + (w_() - GUTTER) / 2 / scale);
    isReal = e.target.checked; place(); layout(); fit();
    const x = scaled(at); zoom(isReal ? 40 : 8, px(x)); left = x - (w_() - GUTTER) / 2 / scale; clamp(); draw();
  };
  el("to-broken").onclick = toBroken;
  el("to-cause").onclick = KEYED.c;
  el("zoom-in").onclick = KEYED.w; el("zoom-out").onclick = KEYED.s; el("fit").onclick = fit; el("help").onclick = KEYED["?"];
  if (data.note) { el("note").textContent = data.note; el("note").hidden = false; }
  const LEGEND = [["ask", "asks, answers"], ["recv", "proxy reads"], ["send", "proxy writes"], ["accept", "accept, connect"],
    ["fin", "end of stream"], ["close", "close, reset"], ["fault", "fault, operation"], ["turn", "wakes, is told"], ["data", "arrives"]];
  const legend = () => {
    el("legend").replaceChildren();
    for (const [kind, words] of LEGEND) {
      const span = make("span"), box = make("canvas");
      span.append(box, words); el("legend").append(span);
      const { g } = prepare(box);
      g.fillStyle = g.strokeStyle = kind === "fault" ? colours["band-edge"] : colours.text;
      form(g, kind, 7, 7, 5.5);
    }
    el("legend").append(make("span", "arrows: dotted SYN, dashed FIN, red reset; a colour is a request"));
  };
  const restyle = () => { style(); legend(); draw(); };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyle);
  new ResizeObserver(() => { clamp(); draw(); }).observe(canvas);

  style(); legend(); place(); layout(); describe(); fit();
  if (broken) toBroken(); else if (times.length > 40) show(-4, Math.min(span, 700));
  // For scripts that look at the page.
  window.timeline = {
    violation: broken ? broken.n : null,
    count: marks.length,
    at: (n) => { const mark = markOf(n); return mark && { x: px(mark.event.x), y: laneY[mark.lane] - top }; },
    go: (n) => { const mark = markOf(n); if (mark) select(mark, true); },
  };
})();
