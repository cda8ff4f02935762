// Runs in every page before the page's own scripts: fixed chance, a clock that only we advance,
// and what the environment asks of a page (snapshot, locate, type into, choose, scroll).
// It never writes to the page's DOM. SEED and EPOCH are constants put in front of this text.
(() => {
  if (globalThis.__agentgym) return;

  // Chance -----------------------------------------------------------------------------------
  let state = SEED >>> 0;
  const random = () => {  // mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
  Math.random = random;
  crypto.getRandomValues = (array) => {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    for (let index = 0; index < bytes.length; index++) bytes[index] = Math.floor(random() * 256);
    return array;
  };

  // Clock ------------------------------------------------------------------------------------
  const NativeDate = Date;
  const nativeFrame = globalThis.requestAnimationFrame.bind(globalThis);
  const timers = new Map();
  let now = EPOCH;
  let lastTimer = 0;
  const addTimer = (callback, delay, every, extra) => {
    const wait = Math.max(1, Number(delay) || 0);
    timers.set(++lastTimer, {
      callback, extra, at: now + wait, order: lastTimer, every: every ? Math.max(4, wait) : 0,
    });
    return lastTimer;
  };
  const dropTimer = (id) => { timers.delete(Number(id)); };
  globalThis.setTimeout = (callback, delay, ...extra) => addTimer(callback, delay, false, extra);
  globalThis.setInterval = (callback, delay, ...extra) => addTimer(callback, delay, true, extra);
  globalThis.requestAnimationFrame = (callback) => {
    const id = addTimer(callback, 16 - ((now - EPOCH) % 16), false, []);
    timers.get(id).frame = true;
    return id;
  };
  globalThis.requestIdleCallback = (callback) =>
    addTimer(() => callback({ didTimeout: false, timeRemaining: () => 50 }), 1, false, []);
  for (const name of ["clearTimeout", "clearInterval", "cancelAnimationFrame", "cancelIdleCallback"])
    globalThis[name] = dropTimer;
  function FixedDate(...parts) {
    if (!new.target) return new NativeDate(now).toString();
    return Reflect.construct(NativeDate, parts.length ? parts : [now], new.target);
  }
  FixedDate.prototype = NativeDate.prototype;
  FixedDate.prototype.constructor = FixedDate;
  FixedDate.parse = NativeDate.parse;
  FixedDate.UTC = NativeDate.UTC;
  FixedDate.now = () => now;
  globalThis.Date = FixedDate;
  performance.now = () => now - EPOCH;
  Object.defineProperty(Event.prototype, "timeStamp", { get: () => now - EPOCH });

  const nextTimer = (end) => {
    let best = null;
    let bestId = 0;
    for (const [id, timer] of timers)
      if (timer.at <= end && (!best || timer.at < best.at || (timer.at === best.at && timer.order < best.order)))
        [best, bestId] = [timer, id];
    return [bestId, best];
  };
  const advance = async (milliseconds) => {
    const end = now + milliseconds;
    for (let [id, timer] = nextTimer(end); timer; [id, timer] = nextTimer(end)) {
      now = Math.max(now, timer.at);
      if (timer.every) Object.assign(timer, { at: now + timer.every, order: ++lastTimer });
      else timers.delete(id);
      try {
        if (typeof timer.callback === "function") timer.callback(...(timer.frame ? [now - EPOCH] : timer.extra));
      } catch (error) {
        reportError(error);  // as the browser does for a callback that throws
      }
      await null;  // let promises run, as they would between two timers
    }
    now = end;
  };
  const frames = (count) => new Promise((resolve) => {
    const wait = (left) => (left ? nativeFrame(() => wait(left - 1)) : resolve());
    wait(count);
  });

  // Who listens ------------------------------------------------------------------------------
  const POINTED = new Set(["click", "mousedown", "mouseup", "dblclick", "pointerdown", "mouseover", "mouseenter"]);
  const listeners = new WeakMap();
  const nativeAdd = EventTarget.prototype.addEventListener;
  const nativeRemove = EventTarget.prototype.removeEventListener;
  EventTarget.prototype.addEventListener = function (type, ...rest) {
    if (POINTED.has(type) && this instanceof Element) {
      if (!listeners.has(this)) listeners.set(this, new Set());
      listeners.get(this).add(type);
    }
    return nativeAdd.call(this, type, ...rest);
  };
  EventTarget.prototype.removeEventListener = function (type, ...rest) {
    listeners.get(this)?.delete(type);
    return nativeRemove.call(this, type, ...rest);
  };
  const listens = (element) =>
    (listeners.get(element)?.size ?? 0) > 0 || Boolean(element.onclick || element.onmousedown || element.onmouseup);

  // Ids --------------------------------------------------------------------------------------
  const ids = new WeakMap();
  const nodes = new Map();
  let lastId = 0;
  const idOf = (node) => {
    if (!ids.has(node)) {
      ids.set(node, ++lastId);
      nodes.set(lastId, new WeakRef(node));
    }
    return ids.get(node);
  };

  // Names and roles --------------------------------------------------------------------------
  const collapse = (text) => (text ?? "").replace(/\s+/g, " ").trim();
  const shown = (element) => collapse(element.innerText ?? element.textContent);
  const INPUTS = {
    button: "button", submit: "button", reset: "button", image: "button", checkbox: "checkbox",
    radio: "radio", range: "slider", color: "color", date: "date", time: "time", month: "month",
    week: "week", "datetime-local": "datetime", file: "file", hidden: "",
  };
  const ROLES = new Set(["button", "link", "checkbox", "radio", "tab", "menuitem", "option", "switch", "slider",
    "spinbutton", "textbox", "combobox", "searchbox", "treeitem", "menuitemcheckbox", "menuitemradio"]);
  const SKIPPED = new Set(["SCRIPT", "STYLE", "TEMPLATE", "NOSCRIPT", "HEAD", "META", "LINK", "TITLE", "OPTION", "DATALIST"]);
  const CONTROLS = new Set(["INPUT", "TEXTAREA", "SELECT"]);
  const roleOf = (element) => {
    const tag = element.tagName;
    if (tag === "INPUT") return INPUTS[element.type] ?? "textbox";
    if (tag === "TEXTAREA") return "textarea";
    if (tag === "SELECT") return element.multiple || element.size > 1 ? "listbox" : "combobox";
    if (tag === "BUTTON") return "button";
    const role = element.getAttribute("role");
    if (ROLES.has(role)) return role;
    if (element.isContentEditable && !element.parentElement?.isContentEditable) return "textbox";
    if (tag === "A" && role !== "presentation") return "link";
    if (tag === "SUMMARY") return "button";
    if (element.closest(".ui-dialog > .ui-resizable-handle")) return "";
    if (listens(element) || element.tabIndex >= 0 || element.draggable) return /link\b/.test(element.className) ? "link" : "clickable";
    return "";
  };
  const looseLabel = (element) => {
    const before = element.previousElementSibling;
    return before?.tagName === "LABEL" && !before.control ? before : null;
  };
  const hintOf = (element) => {
    const classes = typeof element.className === "string" ? element.className : element.className?.baseVal;
    const own = collapse(classes).split(" ").filter((name) => !/^ui-(resizable-handle|icon|corner|widget|state|draggable|droppable)/.test(name));
    return own.join(" ") || element.id || "";
  };
  // Returns the name and, where it was taken from text beside the element, the node it came from.
  const nameOf = (element, role) => {
    const labelled = element.getAttribute("aria-labelledby");
    const pointed = labelled ? labelled.split(/\s+/).map((id) => document.getElementById(id)) : [];
    const spoken = collapse(element.getAttribute("aria-label")) || collapse(pointed.map((label) => label?.textContent ?? "").join(" "));
    if (spoken) return [spoken, null];
    if (!CONTROLS.has(element.tagName)) {
      const text = role === "textbox" ? "" : shown(element);
      return [text || collapse(element.getAttribute("title") || element.getAttribute("alt")) || (role === "textbox" ? "" : hintOf(element)), null];
    }
    if (role === "button") return [collapse(element.value || element.alt || element.title) || element.type, null];
    for (const label of element.labels ?? []) if (shown(label)) return [shown(label), null];
    const label = looseLabel(element);
    if (label) return [shown(label), label];
    const beside = role === "checkbox" || role === "radio" ? element.nextSibling : element.previousSibling;
    if (beside?.nodeType === 3 && collapse(beside.data)) return [collapse(beside.data), beside];
    return [collapse(element.placeholder || element.title) || element.name || element.id || "", null];
  };
  const valueOf = (element, role) => {
    if (element.tagName === "SELECT") return [...element.selectedOptions].map((option) => collapse(option.label)).join(", ");
    if (role === "textbox" && !CONTROLS.has(element.tagName)) return shown(element);
    if (CONTROLS.has(element.tagName) && !["button", "checkbox", "radio", "file"].includes(role)) return element.value;
    return element.getAttribute("aria-valuenow");
  };
  const deepFocus = () => {
    let active = document.activeElement;
    while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
    return active;
  };
  const statesOf = (element, focused) => {
    const states = [];
    const says = (name) => element.getAttribute(`aria-${name}`) === "true";
    if (element.checked || says("checked")) states.push("checked");
    if (says("selected")) states.push("selected");
    if (element.disabled || says("disabled")) states.push("disabled");
    if (says("expanded")) states.push("expanded");
    if (element === focused && element !== document.body) states.push("focused");
    return states;
  };

  // Snapshot ---------------------------------------------------------------------------------
  const childrenOf = (element) => [...(element.shadowRoot ?? element).childNodes];
  const hidden = (element, style) => {
    if (style.display === "none" || style.opacity === "0") return true;
    if (style.display === "contents") return false;
    const box = element.getBoundingClientRect();
    return style.overflow === "hidden" && (box.width <= 1 || box.height <= 1);
  };
  const offPage = (box) =>
    box.width <= 0 || box.height <= 0 || box.right + scrollX <= 0 || box.bottom + scrollY <= 0;
  // A container's listener (delegation) says nothing of its parts: only leaves stand for themselves.
  const standsAlone = (element) => {
    let texts = 0;
    for (const child of element.querySelectorAll("*")) {
      if (roleOf(child) && child.checkVisibility()) return false;
      if ([...child.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) texts++;
    }
    return texts < 2 || ["SPAN", "B", "LI", "P"].includes(element.tagName);
  };
  const inlineOnly = (element) => [...element.children].every((child) =>
    !roleOf(child) && !CONTROLS.has(child.tagName) && !child.shadowRoot &&
    (child.tagName === "BR" || getComputedStyle(child).display.startsWith("inline")) && inlineOnly(child));

  const snapshot = (excluded) => {
    const rows = [];
    const taken = new Set();
    const focused = deepFocus();
    const emit = (node, role, name, value, states, options) => rows.push({ node, row: [idOf(node), role, name, value ?? null, states, options] });
    const emitElement = (element, role) => {
      const [name, source] = nameOf(element, role);
      if (source) taken.add(source);
      const options = element.tagName === "SELECT" ? [...element.options].map((option) => collapse(option.label)) : null;
      emit(element, role, name, valueOf(element, role), statesOf(element, focused), options);
    };
    const walk = (element, quiet) => {
      if (SKIPPED.has(element.tagName) || (element.id && excluded.has(element.id))) return;
      const style = getComputedStyle(element);
      if (hidden(element, style)) return;
      const seen = style.visibility === "visible";
      let role = seen && element !== document.body ? roleOf(element) : "";
      if (quiet && role === "clickable") role = "";
      if (role && !offPage(element.getBoundingClientRect()) && (role !== "clickable" || standsAlone(element))) {
        emitElement(element, role);
        if (role === "clickable" || element.querySelector("button,input,select,textarea,a[href]") === null) return;
        quiet = true;
      }
      const label = element.tagName === "LABEL" && (element.control || CONTROLS.has(element.nextElementSibling?.tagName));
      if (!label && !quiet && seen && element.childNodes.length && inlineOnly(element) && !element.shadowRoot) {
        const text = shown(element);
        if (text && !offPage(element.getBoundingClientRect())) emit(element, "text", text, null, [], null);
        return;
      }
      for (const child of childrenOf(element)) {
        if (child.nodeType === 1) walk(child, quiet || label);
        else if (child.nodeType === 3 && seen && !quiet && !label && collapse(child.data))
          emit(child, "text", collapse(child.data), null, [], null);
      }
    };
    if (document.body) walk(document.body, false);
    return rows.filter(({ node }) => !taken.has(node)).map(({ row }) => row);
  };

  // Acting -----------------------------------------------------------------------------------
  const resolve = (id) => {
    const node = nodes.get(id)?.deref();
    return node?.isConnected ? node : null;
  };
  const rectsOf = (node) => {
    if (node.nodeType === 1) return [node.getBoundingClientRect(), ...node.getClientRects()];
    const range = document.createRange();
    range.selectNodeContents(node);
    return [...range.getClientRects()];
  };
  const hitAt = (x, y) => {
    let hit = document.elementFromPoint(x, y);
    while (hit?.shadowRoot?.elementFromPoint(x, y) && hit.shadowRoot.elementFromPoint(x, y) !== hit)
      hit = hit.shadowRoot.elementFromPoint(x, y);
    return hit;
  };
  const reaches = (hit, node) => {
    for (let at = hit; at; at = at.parentNode ?? at.host) {
      if (at === node) return true;
      if (at.tagName === "LABEL" && at.control === node) return true;
    }
    return node.nodeType === 3 && node.parentElement === hit;
  };
  const SPOTS = [[0.5, 0.5], [0.25, 0.5], [0.75, 0.5], [0.5, 0.25], [0.5, 0.75], [0.1, 0.1], [0.9, 0.9], [0.1, 0.9], [0.9, 0.1]];
  const findSpot = (node) => {
    let covering = null;
    for (const box of rectsOf(node)) {
      if (box.width <= 0 || box.height <= 0) continue;
      for (const [across, down] of SPOTS) {
        const [x, y] = [box.left + box.width * across, box.top + box.height * down];
        const hit = hitAt(x, y);
        if (hit && reaches(hit, node)) return { x, y };
        covering ??= hit;
      }
    }
    return { covering };
  };
  const knownAround = (element) => {
    for (let at = element; at; at = at.parentElement) if (ids.has(at)) return ids.get(at);
    return 0;
  };
  const inView = ({ x, y }) => x >= 0 && y >= 0 && x < innerWidth && y < innerHeight;
  // Returns {x, y} inside the element, scrolled into view, or {error}.
  const locate = async (id, enabled) => {
    const node = resolve(id);
    if (!node) return { error: nodes.has(id) ? `element [${id}] is gone from the page` : `unknown id ${id}` };
    const element = node.nodeType === 1 ? node : node.parentElement;
    if (!element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }))
      return { error: `element [${id}] is not visible` };
    if (enabled && (element.disabled || element.getAttribute("aria-disabled") === "true"))
      return { error: `element [${id}] is disabled` };
    let spot = findSpot(node);
    if (spot.x === undefined || !inView(spot)) {
      element.scrollIntoView({ block: "center", inline: "nearest", behavior: "instant" });
      await frames(2);  // scroll events are sent with a frame
      spot = findSpot(node);
    }
    if (spot.x !== undefined && inView(spot)) return spot;
    const by = spot.covering ? knownAround(spot.covering) : 0;
    return { error: `element [${id}] is ${spot.covering ? "covered by " + (by ? `element [${by}]` : "another element") : "not visible"}` };
  };
  const EDITABLE = new Set(["text", "search", "email", "tel", "url", "password", "number"]);
  const focus = (id) => {
    const node = resolve(id);
    const element = node?.nodeType === 1 ? node : node?.parentElement;
    element?.focus({ preventScroll: true });
    return Boolean(element) && deepFocus() === element;
  };
  const change = (element) => {
    element.dispatchEvent(new Event("input", { bubbles: true, composed: true }));
    element.dispatchEvent(new Event("change", { bubbles: true }));
  };
  // Makes an element ready for typed text: {typed: true}; sets the value itself where nothing is
  // typed (dates, colours, sliders): {typed: false}; or {error}.
  const prepare = (id, text) => {
    const element = resolve(id);
    const input = element?.tagName === "INPUT";
    if (!element || !(element.tagName === "TEXTAREA" || element.isContentEditable || (input && roleOf(element) && !["button", "checkbox", "radio", "file"].includes(roleOf(element)))))
      return { error: `element [${id}] takes no text; expected a textbox` };
    if (element.readOnly) return { error: `element [${id}] is read-only` };
    element.focus({ preventScroll: true });
    if (input && !EDITABLE.has(element.type)) {
      Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(element, text);
      if (element.value !== text) return { error: `element [${id}] refuses ${JSON.stringify(text)}: no valid ${element.type}` };
      change(element);
      return { typed: false };
    }
    if (element.select) element.select();
    else getSelection().selectAllChildren(element);
    if (text === "") document.execCommand("delete");
    return { typed: text !== "" };
  };
  const choose = (id, wanted) => {
    const element = resolve(id);
    if (element?.tagName !== "SELECT") return { error: `element [${id}] has no options; expected a combobox or listbox` };
    if (element.disabled) return { error: `element [${id}] is disabled` };
    if (wanted.length > 1 && !element.multiple) return { error: `element [${id}] takes one option, got ${wanted.length}` };
    const found = wanted.map((name) => [...element.options].find((option) => collapse(option.label) === collapse(name) || option.value === name));
    const missing = wanted.filter((_, index) => !found[index]);
    if (missing.length) return { error: `element [${id}] has no option ${JSON.stringify(missing[0])}` };
    element.focus({ preventScroll: true });
    for (const option of element.options) option.selected = found.includes(option);
    change(element);
    return {};
  };
  const scrolls = (element) => {
    const style = getComputedStyle(element);
    const can = (overflow) => overflow === "auto" || overflow === "scroll";
    return (can(style.overflowY) && element.scrollHeight > element.clientHeight) || (can(style.overflowX) && element.scrollWidth > element.clientWidth);
  };
  // Scrolls what is under the pointer, else the first part of the page that scrolls, else the page.
  const scroll = async (across, down, x, y) => {
    let target = null;
    for (let at = hitAt(x, y); at && at !== document.body; at = at.parentElement) if (scrolls(at)) { target = at; break; }
    target ??= [...document.body.querySelectorAll("*")].find((element) => element.checkVisibility() && scrolls(element));
    (target ?? document.scrollingElement).scrollBy({ left: across, top: down, behavior: "instant" });
    await frames(2);
    return {};
  };

  // A clipboard of the page's own: the system's is shared by every page of the browser.
  let clipboard = "";
  nativeAdd.call(globalThis, "keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.defaultPrevented) return;
    const key = event.key.toLowerCase();
    if (!["c", "x", "v"].includes(key)) return;
    event.preventDefault();
    const field = deepFocus();
    const inField = field && typeof field.selectionStart === "number" && field.selectionStart !== field.selectionEnd;
    if (key === "v") document.execCommand("insertText", false, clipboard);
    else {
      clipboard = inField ? field.value.slice(field.selectionStart, field.selectionEnd) : String(getSelection());
      if (key === "x") document.execCommand("delete");
    }
  });

  Object.defineProperty(globalThis, "__agentgym", {
    value: Object.freeze({ advance, choose, focus, frames, locate, prepare, scroll, snapshot }),
  });
})();
