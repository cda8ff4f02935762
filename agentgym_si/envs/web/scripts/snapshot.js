// What a policy is told of a page: its visible controls, texts and drawings, in document order.

// Names and roles ----------------------------------------------------------------------------
const collapse = (text) => (text ?? "").toWellFormed().replace(/\s+/g, " ").trim();
const legible = (element) => getComputedStyle(element).fontSize !== "0px";
const shown = (element) => (legible(element) ? collapse(element.innerText ?? element.textContent) : "");
const INPUTS = {
  button: "button", submit: "button", reset: "button", image: "button", checkbox: "checkbox",
  radio: "radio", range: "slider", color: "color", date: "date", time: "time", month: "month",
  week: "week", "datetime-local": "datetime", file: "file", hidden: "",
};
const ROLES = new Set([
  "button", "link", "checkbox", "radio", "tab", "menuitem", "option", "switch", "slider", "spinbutton",
  "textbox", "combobox", "searchbox", "treeitem", "menuitemcheckbox", "menuitemradio",
]);
const SHAPES = {
  circle: "circle", rect: "rectangle", ellipse: "ellipse", polygon: "polygon", polyline: "polyline",
  line: "line", path: "path", image: "image",
};
const SKIPPED = new Set([
  "SCRIPT", "STYLE", "TEMPLATE", "NOSCRIPT", "HEAD", "META", "LINK", "TITLE", "OPTION", "DATALIST", "defs",
]);
const FRAMES = new Set(["IFRAME", "FRAME"]);
const CONTROLS = new Set(["INPUT", "TEXTAREA", "SELECT"]);
// Classes that libraries put on everything; they name nothing.
const GENERIC = /^ui-(resizable-handle|button|icon|corner|widget|state|draggable|droppable|sortable|spinner-button)/;
const MARKS = /(^|-)(selected|active)$/;  // classes that are a state
const classesOf = (element) =>
  (element.getAttribute("class") ?? "").split(/\s+/).filter((name) => name && !GENERIC.test(name));

// By namespace: an element of a frame is no instance of this window's classes.
const inSvg = (element) => element.namespaceURI === "http://www.w3.org/2000/svg";

const roleOf = (element) => {
  const tag = element.tagName;
  if (tag === "INPUT") return INPUTS[element.type] ?? "textbox";
  if (tag === "TEXTAREA") return "textarea";
  if (tag === "SELECT") return element.multiple || element.size > 1 ? "listbox" : "combobox";
  if (tag === "BUTTON" || tag === "SUMMARY") return "button";
  if (FRAMES.has(tag)) return "";
  const role = element.getAttribute("role");
  if (ROLES.has(role)) return role;
  if (element.isContentEditable && !element.parentElement?.isContentEditable) return "textarea";
  if (tag === "A" && role !== "presentation") return "link";
  if (tag === "CANVAS" || (tag === "svg" && listens(element))) return "drawing";
  if (inSvg(element)) return "";
  if (tag === "IMG" && !listens(element)) return element.alt || element.title ? "image" : "";
  if (element.closest(".ui-dialog > .ui-resizable-handle")) return "";
  if (listens(element) || element.tabIndex >= 0 || element.getAttribute("draggable") === "true")
    return classesOf(element).some((name) => name.endsWith("link")) ? "link" : "clickable";
  return "";
};
const hintOf = (element) => classesOf(element).filter((name) => !MARKS.test(name)).join(" ") || element.id;
const looseLabel = (element) => {
  const before = element.previousElementSibling;
  return before?.tagName === "LABEL" && !before.control ? before : null;
};
const spokenName = (element) => {
  const pointed = (element.getAttribute("aria-labelledby") ?? "").split(/\s+/).filter(Boolean);
  const texts = pointed.map((id) => document.getElementById(id)?.textContent ?? "");
  return collapse(element.getAttribute("aria-label")) || collapse(texts.join(" "));
};
// Returns the name and, where it was taken from text beside the element, the node it came from.
const nameOf = (element, role) => {
  const spoken = spokenName(element);
  if (spoken) return [spoken, null];
  const title = collapse(element.getAttribute("title") || element.getAttribute("alt"));
  if (!CONTROLS.has(element.tagName)) {
    if (role === "textarea" || role === "drawing") return [title, null];
    return [shown(element) || title || hintOf(element), null];
  }
  if (role === "button") return [collapse(element.value) || title || element.type, null];
  for (const label of element.labels ?? []) if (shown(label)) return [shown(label), null];
  const label = looseLabel(element);
  if (label) return [shown(label), label];
  const beside = role === "checkbox" || role === "radio" ? element.nextSibling : element.previousSibling;
  if (beside?.nodeType === 3 && collapse(beside.data)) return [collapse(beside.data), beside];
  return [collapse(element.placeholder) || title || element.name || element.id || "", null];
};
const valueOf = (element, role) => {
  if (element.tagName === "SELECT") return [...element.selectedOptions].map((option) => collapse(option.label)).join(", ");
  if (role === "textarea" && element.isContentEditable) return shown(element);
  if (!CONTROLS.has(element.tagName)) return element.getAttribute("aria-valuenow");
  return ["button", "checkbox", "radio", "file"].includes(role) ? null : collapse(element.value);
};
const innerDocument = (element) => {
  try {
    return FRAMES.has(element.tagName) ? element.contentDocument : null;
  } catch (error) {
    return null;  // a detached frame
  }
};
// Where a frame's own window begins in this one.
const originOf = (node) => {
  const at = { x: 0, y: 0 };
  for (let frame = node.ownerDocument.defaultView?.frameElement; frame; frame = frame.ownerDocument.defaultView?.frameElement) {
    const box = frame.getBoundingClientRect();
    at.x += box.left + frame.clientLeft;
    at.y += box.top + frame.clientTop;
  }
  return at;
};
const deepFocus = () => {
  let active = document.activeElement;
  for (let inner = active; inner; inner = active.shadowRoot?.activeElement ?? innerDocument(active)?.activeElement) active = inner;
  return active;
};
const statesOf = (element, role, focused) => {
  const says = (name) => element.getAttribute(`aria-${name}`) === "true";
  const marked = (role === "clickable" || role === "button") && classesOf(element).some((name) => MARKS.test(name));
  return [
    [element.checked || says("checked"), "checked"],
    [says("selected") || marked, "selected"],
    [element.disabled || says("disabled"), "disabled"],
    [says("expanded"), "expanded"],
    [element === focused && element !== document.body, "focused"],
  ].filter(([on]) => on).map(([, name]) => name);
};

// Looks --------------------------------------------------------------------------------------
const COLOURS = {
  "0,0,0": "black", "255,255,255": "white", "128,128,128": "grey", "192,192,192": "silver", "255,0,0": "red",
  "128,0,0": "maroon", "255,255,0": "yellow", "128,128,0": "olive", "0,255,0": "lime", "0,128,0": "green",
  "0,255,255": "cyan", "0,128,128": "teal", "0,0,255": "blue", "0,0,128": "navy", "255,0,255": "magenta",
  "128,0,128": "purple", "255,165,0": "orange", "255,192,203": "pink", "255,215,0": "gold", "165,42,42": "brown",
};
const colourOf = (value) => {
  const parts = value?.match(/[\d.]+/g)?.map(Number);
  if (!parts || parts.length < 3 || parts[3] === 0) return null;
  const key = parts.slice(0, 3).join(",");
  return COLOURS[key] ?? "#" + parts.slice(0, 3).map((part) => Math.round(part).toString(16).padStart(2, "0")).join("");
};
const pointsOf = (element) => {
  const matrix = element.getScreenCTM();
  const list = element.tagName === "line"
    ? [[element.x1.baseVal.value, element.y1.baseVal.value], [element.x2.baseVal.value, element.y2.baseVal.value]]
    : [...element.points].map((point) => [point.x, point.y]);
  const onScreen = list.map(([x, y]) => new DOMPoint(x, y).matrixTransform(matrix));
  return onScreen.map((point) => `${Math.round(point.x)},${Math.round(point.y)}`).join(";");
};
// The corners of the last path that is drawn on a canvas.
const paths = new WeakMap();
for (const name of ["beginPath", "moveTo", "lineTo"]) {
  const native = CanvasRenderingContext2D.prototype[name];
  CanvasRenderingContext2D.prototype[name] = function (...at) {
    if (name === "beginPath") paths.set(this.canvas, []);
    else paths.get(this.canvas)?.push(new DOMPoint(...at).matrixTransform(this.getTransform()));
    return native.apply(this, at);
  };
}
const cornersOf = (canvas) => {
  const box = canvas.getBoundingClientRect();
  const [across, down] = [box.width / canvas.width, box.height / canvas.height];
  const corners = paths.get(canvas) ?? [];
  return corners.map(({ x, y }) => `${Math.round(box.x + x * across)},${Math.round(box.y + y * down)}`).join(";");
};
// How a drawn thing looks: colour, centre, size, and corners where they say more than those.
const looksOf = (element, colour) => {
  const box = element.getBoundingClientRect();
  const looks = [];
  if (colour) looks.push(["color", colour]);
  looks.push(["at", `${Math.round(box.x + box.width / 2)},${Math.round(box.y + box.height / 2)}`]);
  looks.push(["size", `${Math.round(box.width)}x${Math.round(box.height)}`]);
  if (element.tagName === "line" || (element.points?.length ?? 0) > 3) looks.push(["points", pointsOf(element)]);
  if (element.tagName === "CANVAS" && cornersOf(element)) looks.push(["points", cornersOf(element)]);
  return looks;
};
// A colour the page calls by its name keeps that name: aqua and cyan are one.
const named = (name, colour) => (colour && /^(?!none|transparent|inherit)[a-z]+$/.test(name ?? "") ? name : colour);
const drawnColour = (element, style) =>
  named(element.getAttribute("fill"), colourOf(style.fill)) ?? named(element.getAttribute("stroke"), colourOf(style.stroke));
// Of a control, how it looks where that says more than its name: no text, or to be dragged.
const ICON = 20;  // pixels; a smaller control that has a name is an icon, and its place says nothing
const ownLooks = (element, role, style) => {
  const colour = named(element.style.backgroundColor, colourOf(style.backgroundColor));
  const box = element.getBoundingClientRect();
  const dragged = element.matches(".ui-draggable,.ui-resizable-handle");
  const bare = !shown(element) && (colour || Math.max(box.width, box.height) >= ICON || !hintOf(element));
  return role === "drawing" || dragged || bare ? looksOf(element, colour) : null;
};
const drawnRole = (element) => {
  const role = SHAPES[element.tagName] ?? "";
  return role === "polygon" && element.points.length === 3 ? "triangle" : role;
};

// Snapshot -----------------------------------------------------------------------------------
const hidden = (element, style) => {
  if (style.display === "none" || style.opacity === "0") return true;
  if (style.display === "contents") return false;
  const box = element.getBoundingClientRect();
  return style.overflow === "hidden" && (box.width <= 1 || box.height <= 1);
};
const SPECK = 6;  // pixels; a drawing smaller than this both ways is not to be seen
// `inner` is how far the parts around it are scrolled: what is above them can be scrolled back to.
const offPage = (element, inner) => {
  const box = element.getBoundingClientRect();
  const drawn = SHAPES[element.tagName] || element.tagName === "text";
  const flat = drawn ? Math.max(box.width, box.height) < SPECK : box.width <= 0 || box.height <= 0;
  return flat || box.right + scrollX + inner.x <= 0 || box.bottom + scrollY + inner.y <= 0;
};
// A container's listener (delegation) says nothing of its parts: only leaves stand for themselves.
const standsAlone = (element) => {
  let texts = 0;
  for (const child of element.querySelectorAll("*")) {
    if (roleOf(child) && child.checkVisibility()) return false;
    if (child.tagName === "svg" && child.clientWidth > 40) return false;
    if ([...child.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) texts++;
  }
  return texts < 2 || ["SPAN", "B", "LI", "P"].includes(element.tagName);
};
let inline = new Map();  // of one snapshot: each element is looked at once
const inlineOnly = (element) => {
  if (!inline.has(element)) inline.set(element, [...element.children].every(isInline));
  return inline.get(element);
};
const isInline = (child) =>
  (child.tagName === "BR" || getComputedStyle(child).display.startsWith("inline")) &&
  !FRAMES.has(child.tagName) && !child.shadowRoot && !inSvg(child) && !roleOf(child) && inlineOnly(child);
// Of a very long text the middle is left out here already; `snapshot.py` shows less of it.
const LONG = 4000;
const brief = (text) =>
  typeof text === "string" && text.length > LONG ? (text.slice(0, LONG / 2) + text.slice(-LONG / 2)).toWellFormed() : text;
// What stands in an element, in the order in which it is shown: its shadow's, and what fills a slot.
const childrenOf = (element) => {
  const filling = element.tagName === "SLOT" ? element.assignedNodes() : [];
  return filling.length ? filling : (element.shadowRoot ?? element).childNodes;
};
const labels = (element) =>
  element.tagName === "LABEL" && (element.control || CONTROLS.has(element.nextElementSibling?.tagName));

const boxOf = (node) => {
  if (node.nodeType === 1) return node.getBoundingClientRect();
  const range = node.ownerDocument.createRange();
  range.selectNodeContents(node);
  return range.getBoundingClientRect();
};
// Returns rows [id, role, name, value, states, options, looks]; ids are given in document order.
// view.viewport: only what the window shows; view.boxes: each row's place in the window;
// view.placed: a selector of parts that are no controls and whose place is told.
const snapshot = (excluded, view = {}) => {
  const rows = [];
  inline = new Map();
  const taken = new Set();
  const focused = deepFocus();
  const emit = (node, ...row) => {
    if (!view.viewport && !view.boxes) return rows.push([node, ...row]);
    const [box, origin] = [boxOf(node), originOf(node)];
    const [left, top] = [box.left + origin.x, box.top + origin.y];
    const inside = left < innerWidth && top < innerHeight && left + box.width > 0 && top + box.height > 0;
    if (view.viewport && !inside) return;
    const place = [left, top, box.width, box.height].map(Math.round).join(",");
    const looks = view.boxes ? [...(row[5] ?? []), ["box", place]] : row[5];
    rows.push([node, ...row.slice(0, 5), looks]);
  };
  const emitControl = (element, role, style) => {
    const [name, source] = nameOf(element, role);
    if (source) taken.add(source);
    const options = element.tagName === "SELECT" ? [...element.options].map((option) => collapse(option.label)) : null;
    const looks = role === "drawing" || role === "clickable" ? ownLooks(element, role, style) : null;
    emit(element, role, name, valueOf(element, role), statesOf(element, role, focused), options, looks);
  };
  const emitText = (node, text, looks = null) => emit(node, "text", text, null, [], null, looks);
  const emitDrawn = (element, style) => {
    const colour = drawnColour(element, style);
    if (element.tagName === "text") {
      if (shown(element)) emitText(element, shown(element), looksOf(element, colour));
    } else if (drawnRole(element) && colour && !element.closest(".axis,.tick"))
      emit(element, drawnRole(element), "", null, [], null, looksOf(element, colour));
  };
  const walk = (element, quiet, inner) => {
    if (SKIPPED.has(element.tagName) || (element.id && excluded.has(element.id))) return;
    const style = getComputedStyle(element);
    if (hidden(element, style)) return;
    const seen = style.visibility === "visible" && (style.display === "contents" || !offPage(element, inner));
    let role = seen && element !== document.body ? roleOf(element) : "";
    if (quiet && role === "clickable") role = "";
    if (role === "drawing") emitControl(element, role, style);
    else if (role && (role !== "clickable" || standsAlone(element))) {
      emitControl(element, role, style);
      if (role === "clickable" || role === "textarea" || !element.querySelector("button,input,select,textarea,a[href]")) return;
      quiet = true;
    } else if (seen && inSvg(element) && element.tagName !== "svg") emitDrawn(element, style);
    if (element.tagName === "text") return;
    if (FRAMES.has(element.tagName) && seen) return walkFrame(element);
    if (!role && seen && view.placed && element.matches(view.placed)) {
      if (shown(element)) emitText(element, shown(element), looksOf(element, null));
      else emit(element, "rectangle", "", null, [], null, looksOf(element, colourOf(style.backgroundColor)));
      return;
    }
    const silent = quiet || labels(element);
    if (!silent && seen && element.childNodes.length && inlineOnly(element) && !element.shadowRoot && !inSvg(element)) {
      const text = shown(element);
      if (text) emitText(element, text);
      return;
    }
    const within = { x: inner.x + element.scrollLeft, y: inner.y + element.scrollTop };
    for (const child of childrenOf(element)) {
      if (child.nodeType === 1) walk(child, silent, within);
      else if (child.nodeType === 3 && seen && !silent && collapse(child.data) && legible(element)) emitText(child, collapse(child.data));
    }
  };
  const walkFrame = (frame) => {
    const inner = innerDocument(frame);
    if (inner?.body) walk(inner.body, false, { x: inner.defaultView.scrollX - scrollX, y: inner.defaultView.scrollY - scrollY });
    else if (!inner) emit(frame, "frame", collapse(frame.title || frame.src), null, ["closed"], null, null);
  };
  if (document.body) walk(document.body, false, { x: 0, y: 0 });
  return rows.filter(([node]) => !taken.has(node)).map(([node, role, name, value, ...row]) =>
    [idOf(node), role, brief(name), brief(value), ...row]);
};
