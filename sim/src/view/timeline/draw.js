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

