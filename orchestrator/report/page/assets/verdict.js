// What is wrong and what to change: the verdict, how far the bring-up came, and each cause with what follows from it.

const SEVERITIES = ["error", "warning", "note"];

function showVerdict() {
  const host = byId("verdict");
  const many = data.pairs.length > 1;
  host.replaceChildren(...data.pairs.flatMap((pair) => [headline(pair, many), stepsOf(pair)]));
  // Those of one severity stay in the order of their pair, in which causes come first.
  const causes = data.pairs
    .flatMap((pair) => pair.findings.map((finding) => ({ finding, pair: many ? pair.label : "" })))
    .sort((one, other) => SEVERITIES.indexOf(one.finding.severity) - SEVERITIES.indexOf(other.finding.severity));
  byId("causes").replaceChildren(...causes.map(({ finding, pair }) => causeCard(finding, pair)));
  byId("causes-card").hidden = !causes.length;
  byId("end").textContent = data.end ? `Run ended: ${data.end}.` : "";
  byId("remarks").replaceChildren(...data.remarks.map((each) => make("li", {}, each)));
  byId("error").hidden = !data.error;
  byId("error").textContent = data.error || "";
}

function headline(pair, isNamed) {
  const kind = pair.exit_code === 0 ? "good" : pair.up ? "warning" : "error";
  const mark = { good: "✓", warning: "!", error: "✕" }[kind];
  const files = Object.entries(pair.files).map(([role, file]) =>
    make("div", {}, make("dt", {}, role), make("dd.mono", {}, file || "played in Python")));
  return make("div.headline", {},
    make(`span.mark.${kind}`, { "aria-hidden": "true" }, mark),
    make("div", {},
      make("h1", {}, `${isNamed ? `Pair ${pair.label}: ` : ""}${pair.headline}`),
      make("p.summary", {}, pair.summary),
      make("dl.files", {}, files)));
}

function stepsOf(pair) {
  const firstMissing = pair.steps.findIndex(([, t]) => t === null);
  return make("ol.steps", { "aria-label": "Milestones" }, pair.steps.map(([name, t, missing], index) =>
    make(`li.${t === null ? (index === firstMissing ? "missing.first" : "missing") : "reached"}`, {},
      make("span.step-name", {}, name),
      t === null ? make("span.step-time", {}, missing ? `missing: ${missing}` : "missing") : momentLink(t, roughTime(t)))));
}

function causeCard(finding, pair) {
  const row = (name, ...texts) => texts.flat().length
    ? make("div.row", {}, make("dt", {}, name), make("dd", {}, texts.flat().map((each) => make("div", {}, each))))
    : null;
  const hence = finding.hence.map((each) =>
    make("li", {}, make("code", {}, each.rule), ` ${each.subject}: expected ${each.expected}, found ${each.found} `,
      each.t === null ? "" : momentLink(each.t, roughTime(each.t))));
  return make(`article.cause.${finding.severity}`, {},
    make("header", {},
      make("span.badge", {}, finding.severity),
      make("h3", {}, make("code", {}, finding.rule)),
      make("span.subject", {}, finding.subject + (pair ? `, ${pair}` : "")),
      finding.t === null ? make("span.never", {}, "never seen, so without a moment") : momentLink(finding.t, `show ${roughTime(finding.t)}`)),
    make("p.advice", {}, make("span.advice-name", {}, "advice"), finding.advice),
    make("dl", {},
      row("at", finding.at.map((each) => make("span.mono", {}, each))),
      row("expected", finding.expected),
      row("found", finding.found, finding.detail.map((each) => make("span.detail", {}, each))),
      row("from", finding.frames.map((each) => make("span.mono", {}, each))),
      row("source", finding.source, finding.links.map((each) =>
        make("a", { href: each, rel: "noreferrer noopener", target: "_blank" }, linkText(each)))),
      hence.length ? row("hence", make("ul.hence", {}, hence)) : null));
}

/** `Xilinx/linux-xlnx #51` for the address of an issue. */
function linkText(link) {
  const found = /^https:\/\/[^/]+\/([^/]+\/[^/]+)\/(?:issues|pull)\/(\d+)$/.exec(link);
  return found ? `${found[1]} #${found[2]}` : link;
}

/** The tables of the report, as text. */
function showTables() {
  const host = byId("tables");
  for (const pair of data.pairs)
    for (const [title, text] of pair.sections)
      host.append(make("details", {},
        make("summary", {}, data.pairs.length > 1 ? `${title}, pair ${pair.label}` : title),
        make("pre", { tabindex: "0" }, text)));
}
