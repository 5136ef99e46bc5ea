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

