// How many buffers of each ring are with the device, over the window of the whole run.

function makeOccupancy() {
  const canvas = byId("occupancy");
  const legend = byId("occupancy-legend");
  const curves = rings.map((ring) => curveOf(ring)).filter((each) => each.t.length > 1).slice(0, 6);
  if (!curves.length) {
    byId("occupancy-card").hidden = true;
    return null;
  }
  const most = Math.max(1, ...curves.map((each) => each.most));
  const until = Math.min(END, data.active_ns > 0 ? data.active_ns * 1.06 : END);
  const shade = (index) => [colours.main, colours.remote, colours.good, colours.accent, colours.third, colours.muted][index];
  const LEFT = 30;

  const redraw = canvasOf(canvas, (context, w, h) => {
    const [bottom, top] = [h - 20, 8];
    const x = (ns) => LEFT + (ns / until) * (w - LEFT - 6);
    const y = (value) => bottom - (value / most) * (bottom - top);
    context.font = font("11px");
    context.textBaseline = "middle";
    context.fillStyle = colours.muted;
    context.strokeStyle = colours.faint;
    for (const value of [...new Set([0, Math.round(most / 2), most])]) {
      context.textAlign = "right";
      context.fillText(String(value), LEFT - 6, y(value));
      context.beginPath();
      context.moveTo(LEFT, Math.round(y(value)) + 0.5);
      context.lineTo(w, Math.round(y(value)) + 0.5);
      context.stroke();
    }
    context.textAlign = "left";
    context.fillText("0", LEFT, h - 8);
    context.textAlign = "right";
    context.fillText(formatTime(Math.round(until / 1000) * 1000), w - 2, h - 8);
    context.textAlign = "left";
    curves.forEach((curve, index) => {
      context.strokeStyle = shade(index);
      context.lineWidth = 1.5;
      context.beginPath();
      let value = 0;
      let low = 0;
      let high = 0;
      let at = LEFT;
      context.moveTo(LEFT, y(0));
      for (let i = 0; i < curve.t.length && curve.t[i] <= until; i++) {
        const next = Math.round(x(curve.t[i]));
        if (next !== at) {
          // One column of pixels shows its extent, however often the line went up and down in it.
          context.lineTo(at, y(low));
          context.lineTo(at, y(high));
          context.lineTo(at, y(value));
          context.lineTo(next, y(value));
          [at, low, high] = [next, value, value];
        }
        value = curve.v[i];
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
      context.lineTo(at, y(low));
      context.lineTo(at, y(high));
      context.lineTo(at, y(value));
      context.lineTo(w - 6, y(value));
      context.stroke();
    });
    const at = Math.round(x(moment.ns)) + 0.5;
    if (moment.ns <= until) {
      context.strokeStyle = colours.accent;
      context.beginPath();
      context.moveTo(at, 0);
      context.lineTo(at, bottom);
      context.stroke();
    }
  });

  canvas.addEventListener("click", (event) =>
    setMoment(((event.offsetX - LEFT) / (canvas.clientWidth - LEFT - 6)) * until));

  function names(ns) {
    legend.replaceChildren(...curves.map((curve, index) => {
      const i = after(curve.t, ns) - 1;
      const swatch = make("span.swatch", { "aria-hidden": "true" });
      swatch.style.background = shade(index);
      return make("li", {}, swatch, `${curve.ring.path}: `, make("b", {}, String(i < 0 ? 0 : curve.v[i])), ` of ${curve.num}`);
    }));
  }
  onMoment((ns) => {
    redraw();
    names(ns);
  });
  names(moment.ns);
  return () => {
    redraw();
    names(moment.ns);
  };
}

/** Buffers with the device after each move of an index. */
function curveOf(ring) {
  const t = [];
  const v = [];
  let most = 0;
  let num = 0;
  let last = -1;
  const bytes = { now: null, shape: null };
  let next = 0;
  const read = (at) => bytes.now[at] | (bytes.now[at + 1] << 8);
  const look = (ns) => {
    const value = (read(bytes.shape.avail + 2) - read(bytes.shape.used + 2)) & 0xffff;
    if (value === last || value > bytes.shape.num) return;
    last = value;
    t.push(ns);
    v.push(value);
    most = Math.max(most, value);
  };
  for (let i = 0; i <= ring.t.length; i++) {
    const ns = i < ring.t.length ? ring.t[i] : Infinity;
    while (next < ring.shapes.length && ring.shapes[next].at === i) {
      bytes.shape = ring.shapes[next++];
      bytes.now = bytesOf(bytes.shape.data);
      num = bytes.shape.num;
      look(bytes.shape.since);
    }
    if (i === ring.t.length || !bytes.now) continue;
    const off = ring.off[i];
    const { avail, used } = bytes.shape;
    const size = ring.hex[i].length / 2;
    const touches = (at) => off < at + 4 && at + 2 < off + size;
    if (!touches(avail) && !touches(used)) continue;
    bytes.now.set(bytesOf(ring.hex[i]).subarray(0, bytes.now.length - off), off);
    if (i + 1 >= ring.t.length || ring.t[i + 1] > ns) look(ns);
  }
  return { ring, t: Float64Array.from(t), v, most, num };
}
