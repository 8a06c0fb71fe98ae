// Both cores over time, drawn on a canvas: what does not fit a pixel is drawn as how much of it there is.

const LANE = { axis: 24, mark: 15, state: 18, exceptions: 14, between: 44, ring: 15, gap: 10 };
const SNAP = 7; // pixels within which a click means what is drawn there
const SHORTEST = 200; // ns that a window may show

function makeTimeline() {
  const host = byId("timeline");
  const canvas = byId("timeline-canvas");
  const tip = byId("tip");
  const window_ = { from: 0, to: END || 1 };
  const lanes = layOut();
  host.style.height = `${lanes.height}px`;
  let hover = null;

  // Where things are

  function layOut() {
    const found = { rows: [] };
    let y = LANE.axis;
    const row = (name, height, kind, more = {}) => {
      found.rows.push({ name, y, height, kind, ...more });
      y += height;
    };
    if (marks.some((each) => each.kind === "finding")) row("", LANE.mark, "findings");
    row("", 3 * LANE.mark + 4, "steps");
    CORES.forEach((core, index) => {
      const above = () => row(coreName(index), LANE.state, "state", { core: index });
      const below = () => row("", LANE.exceptions, "exceptions", { core: index });
      // The exceptions of both cores look at each other: what interrupts runs between them.
      if (index === 0) [above, below].forEach((add) => add());
      else {
        row("", LANE.between, "between", {});
        [below, above].forEach((add) => add());
      }
    });
    y += LANE.gap;
    if (messages.t.length) row("messages", LANE.ring + 5, "messages", { short: "msgs" });
    if (tableWrites.t.length) row("table", LANE.ring, "table");
    rings.slice(0, 8).forEach((ring) => row(ringName(ring), LANE.ring, "ring", { ring: ring.index, short: ringName(ring, true) }));
    if (timed.length) row("consoles", LANE.ring, "lines");
    found.height = y + 6;
    return found;
  }

  // As they were at the last drawing: asking a canvas for its size may lay out the whole page anew.
  let [full, gutter, width] = [0, 0, 1];
  const measure = (w) => {
    full = w;
    gutter = w < 560 ? 62 : 104;
    width = Math.max(1, w - gutter - 8);
  };
  const x = (ns) => gutter + ((ns - window_.from) / (window_.to - window_.from)) * width;
  const timeAt = (px) => window_.from + ((px - gutter) / width) * (window_.to - window_.from);
  const middle = (core, side) => {
    const row = lanes.rows.find((each) => each.kind === "exceptions" && each.core === core);
    return side < 0 ? row.y : row.y + row.height;
  };

  // Drawing

  const redraw = canvasOf(canvas, (context, w, h) => {
    measure(w);
    context.font = font("11px");
    context.textBaseline = "middle";
    drawAxis(context, w, h);
    context.save();
    context.beginPath();
    context.rect(gutter, 0, w - gutter, h);
    context.clip();
    for (const row of lanes.rows) if (DRAW[row.kind]) DRAW[row.kind](context, row);
    drawArrows(context);
    drawMoment(context, h);
    context.restore();
    for (const row of lanes.rows) {
      if (!row.name) continue;
      const isCore = row.kind === "state";
      context.fillStyle = isCore ? coreColour(row.core) : colours.muted;
      context.font = font(isCore ? "600 12px" : "11px");
      context.fillText(clipped(context, (gutter < 100 && row.short) || row.name, gutter - 10), 0, row.y + row.height / 2 + 0.5);
    }
    drawOverview();
  });

  function clipped(context, text, room) {
    if (context.measureText(text).width <= room) return text;
    let cut = text;
    while (cut.length > 1 && context.measureText(`${cut}…`).width > room) cut = cut.slice(0, -1);
    return `${cut}…`;
  }

  function drawAxis(context, w, h) {
    const span = window_.to - window_.from;
    const step = niceStep((span / width) * 96);
    const first = Math.ceil(window_.from / step) * step;
    context.strokeStyle = colours.faint;
    context.fillStyle = colours.muted;
    context.lineWidth = 1;
    context.textAlign = "left";
    for (let ns = first; ns <= window_.to + step / 1000; ns += step) {
      const at = Math.round(x(ns)) + 0.5;
      context.beginPath();
      context.moveTo(at, LANE.axis - 4);
      context.lineTo(at, h);
      context.stroke();
      const text = tickText(ns, step);
      const room = context.measureText(text).width;
      if (at + room < w) context.fillText(text, at + 3, LANE.axis / 2);
    }
  }

  const DRAW = {
    state(context, row) {
      const { t, s } = states[row.core];
      const own = coreColour(row.core);
      const column = new Column(context, row, () => own);
      for (let i = Math.max(0, after(t, window_.from) - 1); i < t.length && t[i] <= window_.to; i++) {
        const [left, right] = [x(t[i]), x(i + 1 < t.length ? t[i + 1] : END)];
        if (right - left >= 1) {
          column.flush();
          drawState(context, row, left, right, s[i], own);
        } else column.add(left, s[i] === 1 ? right - left : 0);
      }
      column.flush();
    },
    exceptions(context, row) {
      const { t, end, reach, d, n, k } = exceptions[row.core];
      const own = coreColour(row.core);
      const column = new Column(context, row, () => own);
      for (let i = atOrAfter(reach, window_.from); i < t.length && t[i] <= window_.to; i++) {
        const [left, right] = [x(t[i]), x(d[i] < 0 ? END : end[i])];
        if (right - left < 1.5) {
          column.add(left, Math.max(0.5, right - left));
          continue;
        }
        const inset = Math.min(k[i] * 3, 6);
        context.globalAlpha = 0.45;
        context.fillStyle = own;
        context.fillRect(left, row.y + 1 + inset, right - left, row.height - 2 - inset);
        context.globalAlpha = 1;
        if (right - left > 46) {
          context.fillStyle = colours.text;
          const from = Math.max(left, gutter) + 4;
          context.fillText(clipped(context, data.names[n[i]], right - from - 4), from, row.y + row.height / 2 + 0.5);
        }
      }
      column.flush();
    },
    findings(context, row) {
      let free = -Infinity;
      for (let i = atOrAfter(markTimes, window_.from); i < marks.length && markTimes[i] <= window_.to; i++) {
        if (marks[i].kind !== "finding") continue;
        const at = x(markTimes[i]);
        context.fillStyle = colours[marks[i].severity] || colours.error;
        context.fillRect(at, row.y + 1, 1.5, lanes.height);
        context.beginPath();
        context.moveTo(at, row.y + 1);
        context.lineTo(at + 10, row.y + 6);
        context.lineTo(at, row.y + 11);
        context.fill();
        const room = context.measureText(marks[i].short).width;
        const fits = at + 14 + room < full;
        const from = fits ? at + 14 : at - 6 - room;
        if (from > free) {
          context.fillText(marks[i].short, from, row.y + 7);
          free = fits ? from + room + 6 : at + 14;
        }
      }
    },
    steps(context, row) {
      const free = [-Infinity, -Infinity, -Infinity];
      context.fillStyle = colours.muted;
      for (let i = atOrAfter(markTimes, window_.from); i < marks.length && markTimes[i] <= window_.to; i++) {
        if (marks[i].kind === "finding") continue;
        const at = x(markTimes[i]);
        const level = free.findIndex((each) => each < at - 5);
        const shown = level < 0 ? free.indexOf(Math.min(...free)) : level;
        const y = row.y + LANE.mark * (shown + 0.5);
        context.beginPath();
        context.moveTo(at, y - 4);
        context.lineTo(at + 4, y);
        context.lineTo(at, y + 4);
        context.lineTo(at - 4, y);
        context.fill();
        const room = context.measureText(marks[i].short).width;
        if (level < 0 || at + 8 + room > full) continue;
        context.fillText(marks[i].short, at + 8, y + 0.5);
        free[level] = at + 8 + room;
      }
    },
    messages(context, row) {
      const { t, from, text } = messages;
      const first = atOrAfter(t, window_.from);
      const mid = row.y + row.height / 2;
      if (after(t, window_.to) - first > width / 6) {
        // Too many for triangles: what main sends in the upper half, what is sent to it in the lower one.
        const half = { y: row.y, height: row.height / 2 + 2 };
        drawTicks(context, half, t, (i) => coreColour(from[i]), (i) => from[i] === 0);
        drawTicks(context, { ...half, y: mid - 2 }, t, (i) => coreColour(from[i]), (i) => from[i] !== 0);
        return;
      }
      for (let i = first; i < t.length && t[i] <= window_.to; i++) {
        const at = x(t[i]);
        const down = from[i] === 0 ? 1 : -1;
        context.fillStyle = coreColour(from[i]);
        context.beginPath();
        context.moveTo(at - 4, mid - 4 * down);
        context.lineTo(at + 4, mid - 4 * down);
        context.lineTo(at, mid + 4 * down);
        context.fill();
        const next = i + 1 < t.length ? x(t[i + 1]) : Infinity;
        const words = text[i] >= 0 ? data.names[text[i]] : `${messages.src[i]} → ${messages.dst[i]}, ${messages.len[i]} B`;
        if (next - at > 40 && next - at > context.measureText(words).width + 16) {
          context.fillStyle = colours.muted;
          context.fillText(words, at + 8, mid + 0.5);
        }
      }
    },
    table: (context, row) => drawTicks(context, row, tableWrites.t, (i) => coreColour(tableWrites.who[i])),
    ring: (context, row) => drawTicks(context, row, rings[row.ring].t, (i) => coreColour(rings[row.ring].who[i])),
    lines: (context, row) => drawTicks(context, row, timedTimes, (i) => coreColour(data.console_cores[lines.c[timed[i]]])),
  };

    function drawState(context, row, left, right, state, own) {
    const [top, height] = [row.y + 1, row.height - 2];
    if (state === 0) {
      context.strokeStyle = colours.line;
      context.strokeRect(Math.max(left, gutter - 2) + 0.5, top + 0.5, Math.min(right, full + 2) - Math.max(left, gutter - 2) - 1, height - 1);
    } else if (state === 2) {
      context.fillStyle = colours.sleep;
      context.fillRect(left, top + height / 2 - 1.5, right - left, 3);
    } else {
      context.fillStyle = state === 3 ? colours.error : own;
      context.fillRect(left, top, right - left, height);
    }
    const from = Math.max(left, gutter) + 5;
    const room = Math.min(right, full) - from - 5;
    if (room > 40 && state !== 2) {
      context.fillStyle = state === 0 ? colours.muted : colours.bg;
      context.fillText(clipped(context, STATES[state], room), from, row.y + row.height / 2 + 0.5);
    }
  }

  /** What is narrower than a pixel, gathered by pixel: drawn as high as the pixel is full of it. */
  class Column {
    constructor(context, row, colour) {
      Object.assign(this, { context, row, colour, at: -1, sum: 0 });
    }

    add(left, weight) {
      const at = Math.floor(left);
      if (at !== this.at) {
        this.flush();
        this.at = at;
      }
      this.sum += weight;
    }

    flush() {
      if (this.sum > 0) {
        const height = Math.max(3, Math.min(1, this.sum) * (this.row.height - 2));
        this.context.fillStyle = this.colour();
        this.context.fillRect(this.at, this.row.y + 1 + (this.row.height - 2 - height) / 2, 1, height);
      }
      this.sum = 0;
    }
  }

  /** A tick for each time of those that are wanted; several in one pixel are one. */
  function drawTicks(context, row, t, colour, isWanted = () => true) {
    let last = -1;
    for (let i = atOrAfter(t, window_.from); i < t.length && t[i] <= window_.to; i++) {
      if (!isWanted(i)) continue;
      const at = Math.round(x(t[i]));
      if (at === last) {
        // Whatever else lies in this pixel looks the same: on to the first that does not.
        i = Math.max(i, atOrAfter(t, timeAt(at + 0.5)) - 1);
        continue;
      }
      last = at;
      context.fillStyle = colour(i);
      context.fillRect(at, row.y + 2, 1.5, row.height - 4);
    }
  }

  function drawArrows(context) {
    const { t, end, reach, d, from, to, ignored } = notifications;
    if (CORES.length < 2) return;
    const first = atOrAfter(reach, window_.from);
    const count = after(t, window_.to) - first;
    const isDense = count > width / 3;
    const last = CORES.map(() => -10);
    for (let i = first; i < t.length && t[i] <= window_.to; i++) {
      const sender = from[i] >= 0 ? from[i] : to[i] === 0 ? 1 : 0;
      const down = sender < to[i];
      const [y0, y1] = [middle(sender, down ? 1 : -1), middle(to[i], down ? -1 : 1)];
      const [x0, x1] = [x(t[i]), x(d[i] < 0 ? t[i] : end[i])];
      if (isDense && x0 - last[sender] < 1) continue;
      last[sender] = x0;
      context.strokeStyle = context.fillStyle = ignored[i] ? colours.error : coreColour(sender);
      context.lineWidth = 1;
      context.globalAlpha = isDense ? 0.35 : 1;
      const [xe, ye] = ignored[i] ? [x0, (y0 + y1) / 2] : [x1, y1];
      context.setLineDash(d[i] < 0 && !ignored[i] ? [3, 3] : []);
      context.beginPath();
      context.moveTo(x0, y0);
      context.lineTo(xe, ye);
      context.stroke();
      context.setLineDash([]);
      if (!isDense && ignored[i]) {
        context.lineWidth = 2;
        context.beginPath();
        context.moveTo(xe - 4, ye - 4);
        context.lineTo(xe + 4, ye + 4);
        context.moveTo(xe + 4, ye - 4);
        context.lineTo(xe - 4, ye + 4);
        context.stroke();
      } else if (!isDense) {
        const turn = Math.atan2(ye - y0, xe - x0);
        context.beginPath();
        context.moveTo(xe, ye);
        for (const side of [-0.4, 0.4]) context.lineTo(xe - 7 * Math.cos(turn + side), ye - 7 * Math.sin(turn + side));
        context.fill();
      }
      context.globalAlpha = 1;
    }
  }

  function drawMoment(context, h) {
    const at = Math.round(x(moment.ns)) + 0.5;
    context.strokeStyle = colours.accent;
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(at, 0);
    context.lineTo(at, h);
    context.stroke();
    context.fillStyle = colours.accent;
    context.beginPath();
    context.moveTo(at - 5, 0);
    context.lineTo(at + 5, 0);
    context.lineTo(at, 7);
    context.fill();
  }

  // The whole run, with the window in it

  const overview = byId("overview");
  const fitEnd = endOfActivity();
  // Where a run ends in a long wait, that part is drawn when the window reaches into it.
  const overviewEnd = () => (window_.to > fitEnd ? END : fitEnd) || 1;
  const drawOverview = canvasOf(overview, (context, w, h) => {
    const until = overviewEnd();
    context.fillStyle = colours.faint;
    context.fillRect(0, h - 1, w, 1);
    context.fillStyle = colours.muted;
    context.fill(activity(w, h, until));
    for (const mark of marks)
      if (mark.kind === "finding") {
        context.fillStyle = colours[mark.severity] || colours.error;
        context.fillRect((mark.t / until) * w - 1, 0, 2, h);
      }
    const [left, right] = [(window_.from / until) * w, (window_.to / until) * w];
    context.fillStyle = colours.accent;
    context.globalAlpha = 0.14;
    context.fillRect(left, 0, Math.max(3, right - left), h);
    context.globalAlpha = 1;
    context.strokeStyle = colours.accent;
    context.strokeRect(left + 0.5, 0.5, Math.max(3, right - left) - 1, h - 1);
    context.fillRect((moment.ns / until) * w - 0.75, 0, 1.5, h);
  });

  /** How much happened in each pixel of the overview; kept, as it changes with the size alone. */
  let kept = { key: "", path: null };
  function activity(w, h, until) {
    const key = `${w} ${h} ${until}`;
    if (kept.key === key) return kept.path;
    const pixels = new Uint32Array(w);
    let before = 0;
    for (let i = 0; i < w; i++) {
      const upTo = after(happenings.t, ((i + 1) / w) * until);
      pixels[i] = upTo - before;
      before = upTo;
    }
    const most = Math.log1p(pixels.reduce((one, other) => Math.max(one, other), 1));
    const path = new Path2D();
    pixels.forEach((count, i) => {
      const height = count ? Math.max(2, (Math.log1p(count) / most) * (h - 6)) : 0;
      if (height) path.rect(i, h - height, 1, height);
    });
    kept = { key, path };
    return path;
  }

  // The window

  function show(from, to) {
    const span = Math.min(Math.max(to - from, Math.min(SHORTEST, END)), END);
    window_.from = Math.min(Math.max(0, from), Math.max(0, END - span));
    window_.to = window_.from + span;
    byId("window-text").textContent = `${roughTime(window_.from)} to ${roughTime(window_.to)}`;
    redraw();
  }

  function zoom(factor, around = (window_.from + window_.to) / 2) {
    show(around - (around - window_.from) * factor, around + (window_.to - around) * factor);
  }

  function pan(share) {
    const by = (window_.to - window_.from) * share;
    show(window_.from + by, window_.to + by);
  }

  /** All in which something happens; the quiet wait at the end of a run is left out. */
  function fit() {
    show(0, fitEnd);
  }

  function endOfActivity() {
    const last = Math.max(data.active_ns, ...[markTimes, timedTimes, faults.t].map((t) => (t.length ? t[t.length - 1] : 0)));
    return Math.min(END, last > 0 ? last * 1.06 : END);
  }

  function reveal(ns) {
    const span = window_.to - window_.from;
    if (ns >= window_.from && ns <= window_.to) return;
    show(ns - span / 2, ns + span / 2);
  }

  // What lies under a pointer

  function itemAt(px, py) {
    if (px < gutter) return null;
    const row = lanes.rows.find((each) => py >= each.y && py < each.y + each.height);
    const ns = timeAt(px);
    const reachNs = (SNAP / width) * (window_.to - window_.from);
    const near = (t) => nearest(t, ns, reachNs);
    switch (row?.kind) {
      case "findings": case "steps": return item(KIND.mark, near(markTimes), 0);
      case "between": return item(KIND.notification, near(notifications.t), 0);
      case "messages": return item(KIND.message, near(messages.t), 0);
      case "table": return item(KIND.table, near(tableWrites.t), 0);
      case "ring": return item(KIND.ring, near(rings[row.ring].t), row.ring);
      case "lines": return item(KIND.line, near(timedTimes), 0);
      case "state": return item(KIND.state, after(states[row.core].t, ns) - 1, row.core);
      case "exceptions": {
        const { t, end, reach, d } = exceptions[row.core];
        for (let i = after(t, ns + reachNs) - 1; i >= 0 && reach[i] >= ns - reachNs; i--)
          if ((d[i] < 0 ? END : end[i]) >= ns - reachNs) return item(KIND.exception, i, row.core);
        return null;
      }
      default: return null;
    }
  }

  function item(kind, i, of) {
    if (i < 0) return null;
    const t = { [KIND.state]: states, [KIND.exception]: exceptions, [KIND.ring]: rings }[kind]?.[of].t ??
      { [KIND.notification]: notifications, [KIND.message]: messages, [KIND.table]: tableWrites,
        [KIND.line]: { t: timedTimes }, [KIND.mark]: { t: markTimes } }[kind].t;
    return { kind, i, of, t: t[i] };
  }

  function nearest(t, ns, within) {
    const right = atOrAfter(t, ns);
    const left = right - 1;
    const best = right < t.length && (left < 0 || t[right] - ns < ns - t[left]) ? right : left;
    return best >= 0 && Math.abs(t[best] - ns) <= within ? best : -1;
  }

  function showTip(px, py) {
    hover = itemAt(px, py);
    canvas.style.cursor = hover ? "pointer" : "grab";
    if (!hover) {
      tip.hidden = true;
      return;
    }
    const words = describe({ ...hover });
    tip.replaceChildren(
      make("span.tip-time", {}, formatTime(hover.t)),
      words.who >= 0 ? make("b", {}, coreName(words.who)) : "",
      make("span", {}, words.what),
      words.place ? make("span.tip-place", {}, words.place) : "",
    );
    tip.hidden = false;
    const room = host.clientWidth - tip.offsetWidth - 8;
    tip.style.left = `${Math.max(4, Math.min(px + 14, room))}px`;
    tip.style.top = `${Math.min(py + 16, host.clientHeight - tip.offsetHeight - 4)}px`;
  }

  // Hands

  const pointers = new Map();
  let dragged = 0;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event);
    dragged = 0;
    tip.hidden = true;
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) {
      showTip(event.offsetX, event.offsetY);
      return;
    }
    pointers.set(event.pointerId, event);
    if (pointers.size === 2) {
      const [one, other] = [...pointers.values()];
      const mine = event.pointerId === one.pointerId ? other : one;
      const [was, is] = [Math.abs(before.offsetX - mine.offsetX), Math.abs(event.offsetX - mine.offsetX)];
      if (was > 4 && is > 4) zoom(was / is, timeAt((event.offsetX + mine.offsetX) / 2));
      dragged = SNAP;
    } else {
      const by = event.offsetX - before.offsetX;
      dragged += Math.abs(by) + Math.abs(event.offsetY - before.offsetY);
      if (dragged > 3) {
        canvas.style.cursor = "grabbing";
        pan(-by / width);
      }
    }
  });
  const letGo = (event) => {
    if (!pointers.delete(event.pointerId) || event.type === "pointercancel" || dragged > 3) return;
    const found = itemAt(event.offsetX, event.offsetY);
    const at = found && found.kind !== KIND.state ? found.t : timeAt(event.offsetX);
    if (event.offsetX >= gutter) setMoment(at, { reveal: false });
  };
  canvas.addEventListener("pointerup", letGo);
  canvas.addEventListener("pointercancel", letGo);
  canvas.addEventListener("pointerleave", () => {
    tip.hidden = true;
  });
  canvas.addEventListener("dblclick", (event) => zoom(0.25, timeAt(event.offsetX)));
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 16 : 1;
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY))
      pan(((event.deltaX || event.deltaY) * unit) / width);
    else zoom(Math.exp(Math.max(-1, Math.min(1, event.deltaY * unit * (event.ctrlKey ? 0.01 : 0.002)))), timeAt(event.offsetX));
  }, { passive: false });

  const move = (event) => show(
    (event.offsetX / overview.clientWidth) * overviewEnd() - (window_.to - window_.from) / 2,
    (event.offsetX / overview.clientWidth) * overviewEnd() + (window_.to - window_.from) / 2,
  );
  overview.addEventListener("pointerdown", (event) => {
    overview.setPointerCapture(event.pointerId);
    move(event);
  });
  overview.addEventListener("pointermove", (event) => {
    if (event.buttons) move(event);
  });

  host.addEventListener("keydown", (event) => {
    const act = { ArrowLeft: () => pan(-0.15), ArrowRight: () => pan(0.15), ArrowUp: () => zoom(0.6, moment.ns),
      ArrowDown: () => zoom(1 / 0.6, moment.ns), PageUp: () => pan(-0.9), PageDown: () => pan(0.9) }[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });

  byId("tail").textContent = END > 2 * fitEnd ? `the run goes on until ${roughTime(END)}` : "";
  onMoment((ns, isRevealed) => {
    if (isRevealed) reveal(ns);
    redraw();
  });
  fit();
  return { redraw, zoom: (factor) => zoom(factor, inWindow(moment.ns) ? moment.ns : undefined), fit, whole: () => show(0, END) };

  function inWindow(ns) {
    return ns >= window_.from && ns <= window_.to;
  }
}

/** 1, 2 or 5 times a power of ten, at least `least`. */
function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((each) => each * power).find((each) => each >= least) || 1;
}

function tickText(ns, step) {
  if (ns === 0) return "0";
  if (step >= 1e9) return `${trim(ns / 1e9)} s`;
  if (step >= 1e3) return `${(ns / 1e6).toFixed(Math.max(0, Math.min(3, 6 - Math.floor(Math.log10(step)))))} ms`;
  return `${(ns / 1e3).toFixed(Math.max(0, 3 - Math.floor(Math.log10(step))))} µs`;
}

/** A lane's name: of one vdev the vring alone counts. */
function ringName(ring, isShort = false) {
  const number = /\d+(?=\]$)/.exec(ring.path)[0];
  const isAlone = rings.every((each) => each.vdev === ring.vdev && each.pair === ring.pair);
  const pair = data.pairs.length > 1 && ring.pair ? `${isShort ? ring.pair : data.pairs[ring.pair].label} ` : "";
  return pair + (isAlone ? `vring ${number}` : isShort ? `v${ring.vdev} r${number}` : `vdev ${ring.vdev} vring ${number}`);
}
