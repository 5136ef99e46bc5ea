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
  const factsOf = (mark) => mark.event.facts.filter(([, , lane]) => lane === mark.lane);
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
  const ROWS_MAX = 60;
  const heading = (words) => details.append(make("h3", words));
  const list = (rows, name) => {
    const ul = make("ul");
    for (const row of rows) {
      const li = make("li", undefined, name);
      if ((row.request ?? null) !== null) li.style.borderLeftColor = colour(row.request);
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
    const row = ({ fact: [words, cause, , request], times }) => {
      const span = make("span", times > 1 ? `${words} (${times} times)` : words, words.length > 140 ? "long" : "");
      if (cause !== null && events.has(cause)) span.append(" ", link(cause, `because of event ${cause}`));
      span.request = request;
      return span;
    };
    // What is said several times in a row is said once, and of very many only the first are shown.
    const tell = (facts, name) => {
      const rows = [];
      for (const fact of facts) {
        const last = rows.at(-1);
        if (last && last.fact.every((part, n) => part === fact[n])) last.times++; else rows.push({ fact, times: 1 });
      }
      list(rows.slice(0, ROWS_MAX).map(row), name);
      if (rows.length > ROWS_MAX) details.append(make("div", `and ${rows.length - ROWS_MAX} more`, "when"));
    };
    const lane = data.lanes[selected.lane].name;
    if (own.length) { heading(`In this event, of ${lane}`); tell(own, "here"); }
    if (others.length) { heading(own.length ? "And besides" : "In this event"); tell(others); }
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
    if (span < 700) { select(brokenMark, false); return fit(); }
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
  // At once: a frame later, what was drawn would be stretched.
  new ResizeObserver(() => { clamp(); arrange(); paint(); paintOverview(); }).observe(canvas);

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
