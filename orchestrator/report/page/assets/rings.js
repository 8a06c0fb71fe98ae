// The vrings as they stand at the selected moment.

const MOST_DRAWN = 256; // entries of a ring; of a longer one the first so many
const narrow = matchMedia("(max-width: 620px)");
const OWNERS = ["driver", "device", "back"];
const OWNER_WORDS = { driver: "driver", device: "device", back: "driver, returned" };

function makeRings() {
  const host = byId("rings");
  if (!rings.length) {
    host.append(make("p.empty", {}, "No vring had an address in this run."));
    byId("buffer-card").hidden = true;
    return;
  }
  const nameOf = (ring) => `${ring.pair}/${ring.vdev}`;
  const vdevs = [...new Set(rings.map(nameOf))];
  let pinned = null; // of a person; null: the one of which a ring changed last
  let chosen = null; // {ring, head}: of a person; null: what moved last
  if (vdevs.length > 1) {
    const tabs = byId("vdevs");
    tabs.hidden = false;
    tabs.append(...vdevs.map((each) => {
      const [pair, vdev] = each.split("/");
      return make("button", { type: "button", "data-vdev": each, click: () => {
        pinned = pinned === each ? null : each;
        chosen = null;
        draw(moment.ns);
      } }, (data.pairs.length > 1 ? `${data.pairs[pair].label} ` : "") + `vdev[${vdev}]`);
    }));
  }

  function vdevAt(ns) {
    let [found, latest] = [vdevs[0], -1];
    for (const ring of rings) {
      const t = ring.t[after(ring.t, ns) - 1] ?? -1;
      if (t > latest) [found, latest] = [nameOf(ring), t];
    }
    return found;
  }

  function draw(ns) {
    const shown = pinned ?? vdevAt(ns);
    for (const tab of byId("vdevs").children) {
      tab.setAttribute("aria-pressed", String(tab.dataset.vdev === shown));
      tab.title = tab.dataset.vdev === pinned ? "press again to follow the moment" : "show this vdev at any moment";
    }
    const mine = rings.filter((each) => nameOf(each) === shown);
    host.replaceChildren(...mine.map((ring) => ringCard(ring, ns)));
    drawBuffer(mine, ns);
  }

  function ringCard(ring, ns) {
    const state = historyOf(ring).at(ns);
    const title = make("header", {},
      make("h3", {}, ring.path),
      make("span.way", {}, make(`span.core${ring.from}`, {}, coreName(ring.from)), " → ",
        make(`span.core${ring.to}`, {}, coreName(ring.to))));
    if (!state) return make("section.ring", {}, title, make("p.empty", {}, "not there yet at this moment"));
    const { shape } = state;
    const latest = historyOf(ring).latest(ns);
    const changed = new Set();
    for (let i = latest.from; i < latest.to; i++)
      for (let k = 0; k < ring.hex[i].length / 2; k++) changed.add(ring.off[i] + k);
    const isNew = (at, size) => {
      for (let k = 0; k < size; k++) if (changed.has(at + k)) return true;
      return false;
    };
    const outstanding = (state.availIdx - state.usedIdx) & 0xffff;
    const facts = `${counted(shape.num, "entry").replace("entrys", "entries")}, at ${hex(shape.base)} as ` +
      `${coreName(shape.view)} sees it; ${coreName(shape.driver)} is the driver`;
    const last = latest.t < 0 ? "" : make("p.last", {}, "last change ", momentLink(latest.t), ` by ${coreName(ring.who[latest.to - 1])}`);
    return make("section.ring", { "aria-label": ring.path }, title, make("p.facts", {}, facts), last,
      make("div.indices", {},
        index("avail.idx", state.availIdx, isNew(shape.avail + 2, 2), state.availFlags ? `flags ${state.availFlags}` : ""),
        index("used.idx", state.usedIdx, isNew(shape.used + 2, 2), state.usedFlags ? `flags ${state.usedFlags}` : ""),
        index("with the device", outstanding <= shape.num ? outstanding : "?", false)),
      descriptors(ring, state, isNew, ns),
      slots("available ring", shape.num, state.availIdx, (i) => String(state.availRing(i)),
        (i) => isNew(shape.avail + 4 + 2 * i, 2)),
      slots("used ring", shape.num, state.usedIdx, (i) => {
        const used = state.usedRing(i);
        return `${used.id}`;
      }, (i) => isNew(shape.used + 4 + 8 * i, 8), (i) => `len ${state.usedRing(i).len}`));
  }

  function index(name, value, isNew, more = "") {
    return make(`span.index${isNew ? ".changed" : ""}`, {}, `${name} `, make("b", {}, String(value)), more ? ` ${more}` : "");
  }

  function descriptors(ring, state, isNew, ns) {
    const { shape } = state;
    const rows = [];
    for (let i = 0; i < Math.min(shape.num, MOST_DRAWN); i++) {
      const each = state.desc(i);
      const owner = OWNERS[state.owners[i]];
      const at = shape.desc + 16 * i;
      const flags = [each.flags & FLAG_NEXT ? "NEXT" : "", each.flags & FLAG_WRITE ? "WRITE" : "",
        each.flags & FLAG_INDIRECT ? "INDIRECT" : "", each.flags & ~7 ? hex(each.flags & ~7, 4) : ""].filter(Boolean).join(" ");
      const isChosen = chosen && chosen.ring === ring && chosen.head === i;
      const cell = (text, offset, size, more = "") => make(`td.mono${more}${isNew(at + offset, size) ? ".changed" : ""}`, {}, text);
      rows.push(make(`tr.${owner}${isChosen ? ".chosen" : ""}`, {},
        make("th", { scope: "row" }, make("button", { type: "button", title: "what stands in this buffer", "aria-pressed": String(Boolean(isChosen)), click: () => {
          chosen = isChosen ? null : { ring, head: i };
          draw(moment.ns);
        } }, String(i))),
        cell(each.addr ? hex(each.addr) : "0", 0, 8),
        cell(String(each.len), 8, 4, ".right"),
        cell(flags || "none", 12, 2),
        cell(each.flags & FLAG_NEXT ? String(each.next) : "", 14, 2, ".right"),
        make("td", {}, make(`span.owner.${owner}`, {}, OWNER_WORDS[owner]))));
    }
    const more = shape.num > MOST_DRAWN ? make("caption", {}, `the first ${MOST_DRAWN} of ${shape.num}`) : null;
    return make("div.scroll", { tabindex: "0", role: "group", "aria-label": `descriptors of ${ring.path}` },
      make("table.descriptors", {}, more,
        make("thead", {}, make("tr", {}, ["#", "addr", "len", "flags", "next", "with"].map((each, i) =>
          make(`th${i === 2 || i === 4 ? ".right" : ""}`, { scope: "col" }, each)))),
        make("tbody", {}, rows)));
  }

  /** The slots of a ring, with a mark at the one that its index stands at: the next that will be written. */
  function slots(name, num, idx, text, isNew, more = null) {
    const next = idx % num;
    const cells = [];
    for (let i = 0; i < Math.min(num, MOST_DRAWN); i++) {
      const isWritten = idx >= num || i < idx;
      const words = `slot ${i}: ${isWritten ? `head ${text(i)}${more ? `, ${more(i)}` : ""}` : "not written yet"}`;
      cells.push(make(`span.slot${i === next ? ".next" : ""}${isWritten ? "" : ".blank"}${isNew(i) ? ".changed" : ""}`,
        { title: i === next ? `${words}; the next to be written` : words },
        isWritten ? text(i) : "·"));
    }
    return make("div.slots", { role: "img", "aria-label": `${name}: next slot ${next}; ${Array.from(cells, (each) => each.textContent).join(" ")}` },
      make("span.slots-name", {}, name), make("span.cells", {}, cells));
  }

  // What stands in a buffer

  function drawBuffer(mine, ns) {
    const { ring, head } = chosen && mine.includes(chosen.ring) ? chosen : lastMessage(mine, ns);
    const box = byId("buffer");
    if (!ring) {
      box.replaceChildren(make("p.empty", {}, "No message has gone through these rings at this moment. Press the number of a descriptor to choose a buffer."));
      return;
    }
    const state = historyOf(ring).at(ns);
    const each = state ? state.desc(head) : null;
    if (!each) {
      box.replaceChildren(make("p.empty", {}, `${ring.path} is not there yet at this moment.`));
      return;
    }
    const buffer = data.buffers[each.addr] || [null, null];
    const owner = OWNERS[state.owners[head]];
    const facts = make("dl.facts-list", {},
      fact("descriptor", `${ring.path} desc[${head}]`),
      fact("address", `${address(buffer[0])} (main), ${address(buffer[1])} (remote)`),
      fact("length", `${each.len} bytes`),
      fact("with", make(`span.owner.${owner}`, {}, OWNER_WORDS[owner])));
    const i = messageIn(ring, head, ns);
    const why = chosen ? make("button.quiet", { type: "button", click: () => {
      chosen = null;
      draw(moment.ns);
    } }, "follow the last message") : make("span.facts", {}, "the last message of this vdev");
    box.replaceChildren(why, facts, ...(i < 0 ? [make("p.empty", {}, "No message has been seen in this buffer until now.")] : messageParts(i)));
  }

  function fact(name, value) {
    return make("div", {}, make("dt", {}, name), make("dd.mono", {}, value));
  }

  function lastMessage(mine, ns) {
    for (let i = after(messages.t, ns) - 1; i >= 0; i--) {
      const ring = rings[messages.ring[i]];
      if (mine.includes(ring)) return { ring, head: messages.head[i] };
    }
    return { ring: null, head: -1 };
  }

  function messageIn(ring, head, ns) {
    for (let i = after(messages.t, ns) - 1; i >= 0; i--)
      if (messages.ring[i] === ring.index && messages.head[i] === head) return i;
    return -1;
  }

  function messageParts(i) {
    const bytes = bytesOf(messages.hex[i]);
    const { src, dst, len } = messages;
    const text = messages.text[i] < 0 ? "" : data.names[messages.text[i]];
    const header = make("dl.facts-list", {},
      fact("sent", momentLink(messages.t[i])),
      fact("by", `${coreName(messages.from[i])} to ${coreName(messages.to[i])}`),
      fact("RPMsg header", `src ${src[i]}, dst ${dst[i]}, len ${len[i]}`),
      text ? fact("name service", text) : null);
    const cut = bytes.length < len[i] ? make("p.facts", {}, `the first ${bytes.length} of ${len[i]} bytes were kept`) : null;
    return [header, cut, bytes.length ? hexDump(bytes) : make("p.empty", {}, "no payload")].filter(Boolean);
  }

  function hexDump(bytes) {
    const rows = [];
    const wide = narrow.matches ? 8 : 16;
    for (let at = 0; at < Math.min(bytes.length, 1024); at += wide) {
      const row = bytes.slice(at, at + wide);
      const codes = Array.from(row, (each) => each.toString(16).padStart(2, "0")).join(" ");
      const text = Array.from(row, (each) => (each >= 32 && each < 127 ? String.fromCharCode(each) : "·")).join("");
      rows.push(`${at.toString(16).padStart(4, "0")}  ${codes.padEnd(3 * wide - 1)}  ${text}`);
    }
    if (bytes.length > 1024) rows.push(`and ${bytes.length - 1024} more`);
    return make("pre.hex", { tabindex: "0", "aria-label": "payload in hexadecimal and as text" }, rows.join("\n"));
  }

  onMoment(draw);
  draw(moment.ns);
}
