// Elements from names, attributes and text. What comes from a run is text, never markup.

/** `make("p.note", {title: "…"}, "text", child)`; an attribute that is a function listens to the event of its name. */
function make(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((each) => each !== null && each !== undefined && each !== ""));
  return element;
}

function byId(id) {
  return document.getElementById(id);
}

/** Run at most once for each frame. */
function eachFrame(work) {
  let asked = 0;
  return () => {
    if (!asked)
      asked = requestAnimationFrame(() => {
        asked = 0;
        work();
      });
  };
}

const painters = []; // of every canvas: what draws it at once

/** A canvas that has as many pixels as the screen shows of it; `draw(context, width, height)` in CSS pixels. */
function canvasOf(canvas, draw) {
  const context = canvas.getContext("2d");
  const paint = () => {
    const { clientWidth: width, clientHeight: height } = canvas;
    if (!width || !height) return;
    const scale = window.devicePixelRatio || 1;
    const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
    if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    draw(context, width, height);
  };
  const redraw = eachFrame(paint);
  painters.push(paint);
  new ResizeObserver(redraw).observe(canvas);
  return redraw;
}

/** The colours of the theme that is shown, by the names of the style sheet. */
const colours = {};
function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["bg", "surface", "text", "muted", "line", "faint", "main", "remote", "third", "error", "warning",
    "good", "accent", "device", "sleep"])
    colours[name] = style.getPropertyValue(`--${name}`).trim();
}

let family = "";
function font(size) {
  family ||= getComputedStyle(document.body).fontFamily;
  return `${size} ${family}`;
}

function coreColour(index) {
  return index < 0 ? colours.muted : [colours.main, colours.remote, colours.third][Math.min(index, 2)];
}
