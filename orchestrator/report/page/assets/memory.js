// Shared memory as a map: each range under the names that both cores have for it.

function showMemory() {
  const host = byId("memory");
  const rows = data.memory;
  if (!rows.length) {
    byId("memory-card").hidden = true;
    return;
  }
  const most = Math.log2(Math.max(...rows.map((each) => each.size)) + 1);
  host.append(make("table.map", {},
    make("thead", {}, make("tr", {}, ["main", "remote", "bytes", "what"].map((each, i) =>
      make(`th${i === 2 ? ".right" : ""}${i < 2 ? `.core${i}` : ""}`, { scope: "col" }, each)))),
    make("tbody", {}, rows.map((each) => {
      const bar = make(`span.bar.${each.kind}`, { "aria-hidden": "true" });
      bar.style.width = `${Math.max(4, (Math.log2(each.size + 1) / most) * 100)}%`;
      return make(`tr.depth${each.depth}.is-${each.kind}`, {},
        make("td.mono", {}, address(each.main)),
        make("td.mono", {}, address(each.remote)),
        make("td.mono.right", {}, each.size.toLocaleString("en")),
        make("td", {}, make("span.what", {}, each.what), bar));
    }))));
}
