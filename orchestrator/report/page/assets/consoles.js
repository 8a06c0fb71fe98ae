// What the consoles said, as one text by time; a line leads to its moment, the moment to its line.

function makeConsoles() {
  const list = byId("lines");
  if (!lines.t.length) {
    byId("filters").hidden = true;
    list.replaceWith(make("p.empty", {}, "The consoles said nothing."));
    return { focus() {} };
  }
  const hidden = new Set([...data.consoles.keys()].filter((each) => data.repeated[each]));
  const words = byId("words");
  const items = [];
  for (let i = 0; i < lines.t.length; i++) {
    const time = lines.known[i] ? formatTime(lines.t[i]) : "";
    const core = data.console_cores[lines.c[i]];
    items.push(make("li", {}, make("button.line", { type: "button", "data-i": String(i), tabindex: "-1" },
      make("span.line-time", {}, time),
      make(`span.line-console${core >= 0 ? `.core${Math.min(core, 2)}` : ""}`, {}, data.consoles[lines.c[i]]),
      make("span.line-text", {}, lines.x[i]))));
  }
  list.append(...items);
  items[0].firstChild.tabIndex = 0;
  let current = null;

  list.addEventListener("click", (event) => {
    const line = event.target.closest("button.line");
    if (line) choose(line);
  });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const line = event.target.closest("button.line");
    if (!step || !line) return;
    event.preventDefault();
    let item = line.parentElement;
    do item = step > 0 ? item.nextElementSibling : item.previousElementSibling;
    while (item && item.hidden);
    if (!item) return;
    item.firstChild.focus();
    choose(item.firstChild);
  });

  function choose(line) {
    const i = Number(line.dataset.i);
    if (lines.known[i]) setMoment(lines.t[i]);
  }

  const chips = byId("console-chips");
  data.consoles.forEach((name, index) => {
    chips.append(make("button.chip", { type: "button", "aria-pressed": String(!hidden.has(index)),
      title: data.repeated[index] ? "says the same as a console of its core" : null, click: (event) => {
      const isShown = hidden.delete(index) || (hidden.add(index), false);
      event.currentTarget.setAttribute("aria-pressed", String(isShown));
      filter();
    } }, name));
  });
  words.addEventListener("input", filter);

  function filter() {
    const wanted = words.value.toLowerCase();
    let count = 0;
    items.forEach((item, i) => {
      item.hidden = hidden.has(lines.c[i]) || !lines.x[i].toLowerCase().includes(wanted);
      count += !item.hidden;
    });
    byId("line-count").textContent = count === items.length ? "" : `${count} of ${counted(items.length, "line")}`;
  }

  filter();
  onMoment((ns) => {
    let i = after(lines.t, ns) - 1;
    while (i >= 0 && items[i].hidden) i--;
    const line = i < 0 ? null : items[i].firstChild;
    if (line === current) return;
    current?.removeAttribute("aria-current");
    current = line;
    if (!line) return;
    line.setAttribute("aria-current", "true");
    for (const each of list.querySelectorAll('button.line[tabindex="0"]')) each.tabIndex = -1;
    line.tabIndex = 0;
    // Within the list alone: the page stays where it is.
    const top = line.offsetTop - list.offsetTop;
    if (top < list.scrollTop || top + line.offsetHeight > list.scrollTop + list.clientHeight)
      list.scrollTop = top - list.clientHeight / 2;
  });
  return { focus: () => words.focus() };
}
