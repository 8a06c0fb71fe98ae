// Puts the parts together. Everything above only says what it is.

setTheme(["light", "dark"].includes(keptTheme()) ? keptTheme() : "auto");
showVerdict();
if (CORES.length) showRun();
else for (const part of document.querySelectorAll(".needs-run")) part.hidden = true;

function showRun() {
  moment.ns = Math.min(END, Math.max(0, momentOfAddress() ?? firstMoment()));
  const timeline = makeTimeline();
  makeRings();
  makeHere();
  showMemory();
  const redrawOccupancy = makeOccupancy();
  const consoles = makeConsoles();
  const repaint = () => {
    readColours();
    timeline.redraw();
    redrawOccupancy?.();
  };
  makeControls({ timeline, consoles, repaint });
  printInLight();
  showTables();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  setMoment(moment.ns, { keep: false });
}

/** Where to look first: at the first cause that has a moment, else at the last message, else at the last activity. */
function firstMoment() {
  const finding = data.pairs.flatMap((pair) => pair.findings).find((each) => each.t !== null && each.severity !== "note");
  if (finding) return finding.t;
  return messages.t.length ? messages.t[messages.t.length - 1] : data.active_ns;
}
