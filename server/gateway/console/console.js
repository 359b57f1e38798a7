// The console: polls the admin listener's own API with the token of the address's fragment, and follows one user's event stream.
"use strict";

const kPollMs = 2000;
const kSamples = 60;      // of a sparkline
const kMaxFeed = 100;     // entries shown
const kPeekRecords = 20;
const kLetters = 20;      // dead letters shown, of a topic

const byId = (id) => document.getElementById(id);
const number = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });

let token = "";
let live = null;           // AbortController of the stream
let peeked = null;         // name of the topic that is looked into
let peekedEnds = 0;        // its records when it was last read
let letterEnds = "";       // of the dead-letter topics when they were last read
const samples = new Map(); // handler or topic → [{time, total, rate}]

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") made.className = value;
    else if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

async function ask(path, options = {}) {
  const response = await fetch(path, { ...options, headers: { Authorization: `Bearer ${token}`, ...options.headers }, cache: "no-store" });
  if (response.status === 401) {
    forgetToken();
    throw new Error("The token is not the admin token.");
  }
  return response;
}

// ---- token ----

function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    say("");
    sessionStorage.setItem("millrace-token", given);
    history.replaceState(null, "", location.pathname);
  }
  token = sessionStorage.getItem("millrace-token") ?? "";
  byId("token-form").hidden = token !== "";
  byId("leave").hidden = token === "";
  if (token === "") say("Enter the admin token: it is in the file admin-token of the data directory, and in the address that the server prints.");
}

function forgetToken() {
  sessionStorage.removeItem("millrace-token");
  live?.abort();
  takeToken();
}

function say(text) {
  byId("notice").textContent = text;
  byId("notice").hidden = text === "";
}

function pill(target, text, tone) {
  target.textContent = text;
  target.className = `pill ${tone}`;
}

// ---- rates ----

function sample(name, total) {
  const list = samples.get(name) ?? [];
  const now = performance.now() / 1000;
  const last = list.at(-1);
  const rate = last && total >= last.total ? (total - last.total) / (now - last.time) : 0;
  list.push({ time: now, total, rate });
  if (list.length > kSamples) list.shift();
  samples.set(name, list);
  return list;
}

const kSvg = "http://www.w3.org/2000/svg";

function sparkline(list, label) {
  const [width, height] = [300, 44];
  const svg = document.createElementNS(kSvg, "svg");
  svg.setAttribute("class", "spark");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  const peak = Math.max(1, ...list.map((point) => point.rate));
  svg.setAttribute("aria-label", `${label}, peak ${number.format(peak)} per second`);
  const first = kSamples - list.length;
  const points = list.map((point, i) => `${((first + i) / (kSamples - 1)) * width},${height - 2 - (point.rate / peak) * (height - 6)}`);
  const draw = (kind, d) => {
    const path = document.createElementNS(kSvg, "path");
    path.setAttribute("class", kind);
    path.setAttribute("d", d);
    svg.append(path);
  };
  if (points.length > 1) {
    draw("fill", `M${points[0].split(",")[0]},${height} L${points.join(" L")} L${width},${height} Z`);
    draw("line", `M${points.join(" L")}`);
  }
  return svg;
}

// ---- handlers ----

const kTones = { running: "good", starting: "warn", waiting: "warn", restarting: "warn", held: "warn", quarantined: "bad", down: "bad", failed: "bad", stopped: "" };

function figure(value, label, alert = false) {
  return element("div", { class: alert ? "alert" : "" }, element("b", {}, value), element("span", { class: "quiet" }, label));
}

function lagOf(handler) {
  return handler.partitions.reduce((sum, partition) => sum + (partition.lag_records ?? 0), 0);
}

function lanes(handler) {
  const list = element("div", { class: "lanes" });
  for (const partition of handler.partitions) {
    const end = partition.end ?? 0;
    const done = partition.position ?? 0;
    const share = end > 0 ? Math.min(1, done / end) : 1;
    const meter = element("div", { class: partition.lag_records > 0 ? "meter behind" : "meter", title: `position ${done} of ${end}` }, element("i"));
    meter.firstChild.style.width = `${share * 100}%`;
    const lag = partition.lag_records > 0 ? `${compact.format(partition.lag_records)} behind` : "up to date";
    list.append(element("span", {}, `${partition.topic}/${partition.partition}`), meter, element("span", { class: "quiet" }, partition.held ?? lag));
  }
  return list;
}

function card(handler) {
  const totals = handler.totals ?? {};
  const handled = (totals.acked ?? 0) + (totals.skipped ?? 0) + (totals.dead_lettered ?? 0);
  const list = sample(`handler ${handler.handler}`, handled);
  const failures = totals.dead_lettered ?? 0;
  const state = element("span");
  pill(state, handler.state, kTones[handler.state] ?? "");
  const why = [handler.reason, ...(handler.held ?? [])].filter(Boolean).join(" · ");
  const last = (handler.errors ?? []).at(-1);
  return element("article", { class: "card" },
    element("div", { class: "head" }, element("span", { class: "name" }, handler.handler),
      element("span", { class: "quiet" }, handler.plugin === handler.handler ? handler.version : `${handler.plugin} ${handler.version}`), state),
    element("div", { class: "figures" },
      figure(number.format(list.at(-1).rate), "events/s"),
      figure(compact.format(lagOf(handler)), "behind", lagOf(handler) > 1000),
      figure(compact.format(totals.retries ?? 0), "retries"),
      figure(compact.format(failures), "dead letters", failures > 0)),
    sparkline(list, `${handler.handler}: events per second`),
    lanes(handler),
    why ? element("p", { class: "why" }, why) : null,
    last ? element("p", { class: "why" }, `${last.class} at ${last.topic}/${last.partition} offset ${last.offset}: ${last.message}`) : null);
}

function showHandlers(handlers) {
  byId("handlers").replaceChildren(...(handlers.length > 0 ? handlers.map(card) : [element("p", { class: "quiet" }, "No handler is configured.")]));
}

// ---- topics ----

function topicRow(topic, deadLetters) {
  const total = topic.partitions.reduce((sum, partition) => sum + ((partition.high ?? 0) - (partition.low ?? 0)), 0);
  const ends = topic.partitions.reduce((sum, partition) => sum + (partition.high ?? 0), 0);
  const rate = sample(`topic ${topic.name}`, ends).at(-1).rate;
  if (topic.name === peeked && ends !== peekedEnds) peek(topic, ends);
  const open = element("button", { type: "button", onclick: () => peek(topic, ends) }, topic.name);
  const alert = total > 0 && deadLetters.has(topic.name);
  return element("tr", {}, element("td", {}, open),
    element("td", { class: alert ? "number alert" : "number" }, compact.format(total)),
    element("td", { class: "quiet" }, topic.partitions.map((partition) => partition.high ?? "?").join(" · ")),
    element("td", { class: "number" }, number.format(rate)));
}

function showTopics(topics) {
  const deadLetters = new Set(topics.map((topic) => topic.dead_letter).filter(Boolean));
  byId("topics").replaceChildren(...topics.map((topic) => topicRow(topic, deadLetters)));
}

function entry(title, notes, text, isNew) {
  return element("li", { class: isNew ? "new" : "" },
    element("div", { class: "line" }, element("b", {}, title), ...notes.map((note) => element("span", { class: "quiet" }, note))),
    element("pre", {}, text));
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 1).replace(/\n\s*/g, " ");
  } catch {
    return text ?? "(no value)";
  }
}

async function peek(topic, ends) {
  peeked = topic.name;
  peekedEnds = ends;
  byId("peek").hidden = false;
  byId("peek-title").textContent = `The last records of ${topic.name}`;
  const answers = await Promise.all(topic.partitions.map(async ({ partition }) => {
    const response = await ask(`v1/topics/${encodeURIComponent(topic.name)}/records?partition=${partition}&limit=${kPeekRecords}`);
    return response.ok ? (await response.json()).records.map((record) => ({ ...record, partition })) : [];
  }));
  if (peeked !== topic.name) return;
  const records = answers.flat().sort((a, b) => b.timestamp.localeCompare(a.timestamp)).slice(0, kPeekRecords);
  const items = records.map((record) => entry(`${record.partition}:${record.offset}`,
    [new Date(record.timestamp).toLocaleString(), record.key === null ? "no key" : `key ${record.key}`], pretty(record.value), false));
  byId("records").replaceChildren(...(items.length > 0 ? items : [element("li", { class: "quiet" }, "Empty.")]));
}

// ---- dead letters ----

async function act(action, topic, letter) {
  const response = await ask(`v1/admin/dead-letters/${encodeURIComponent(topic)}/${action}?id=${letter.id}`, { method: "POST" });
  const answer = await response.json();
  const why = answer.detail ?? answer.stopped ?? answer.failed?.[0]?.error;
  byId("letters-said").textContent = why ?? (action === "redrive" ? `Given back to ${letter.handler}.` : "Put aside.");
  letterEnds = "";
}

function letterRow(topic, letter) {
  const at = letter.kind === "record" ? `${letter.topic}/${letter.partition} offset ${letter.offset}` : `${letter.kind} ${letter.timer ?? letter.call ?? letter.target}`;
  const button = (text, action) => element("button", { type: "button", class: "plain", onclick: () => act(action, topic, letter).catch((error) => say(error.message)) }, text);
  const again = letter.redrives > 0 ? `, after ${letter.redrives} redrives` : "";
  return element("tr", {}, element("td", {}, at, element("div", { class: "quiet" }, letter.user_id === null ? "" : `user ${letter.user_id}`)),
    element("td", {}, letter.handler), element("td", {}, letter.last_failure ? new Date(letter.last_failure).toLocaleString() : ""),
    element("td", {}, element("b", {}, letter.class), ` ${letter.message}${again}`),
    element("td", {}, letter.kind === "record" ? button("Redrive", "redrive") : null, button("Discard", "discard")));
}

// Read again only when something was written, or done with one.
async function showLetters(topics) {
  const names = new Set(topics.map((topic) => topic.dead_letter).filter(Boolean));
  const written = topics.filter((topic) => names.has(topic.name) && topic.partitions.some((partition) => partition.high > partition.low));
  const ends = JSON.stringify(written.map((topic) => [topic.name, topic.partitions]));
  if (ends === letterEnds) return;
  letterEnds = ends;
  const rows = await Promise.all(written.map(async ({ name }) => {
    const response = await ask(`v1/admin/dead-letters/${encodeURIComponent(name)}?limit=${kLetters}`);
    return response.ok ? (await response.json()).items.map((letter) => letterRow(name, letter)) : [];
  }));
  byId("letters").replaceChildren(...rows.flat());
  byId("letters-section").hidden = rows.flat().length === 0 && byId("letters-said").textContent === "";
}

// ---- live events: the event stream over fetch, because EventSource cannot send the token as a header ----

function* blocksOf(state, chunk) {
  state.rest += chunk;
  for (let end; (end = state.rest.indexOf("\n\n")) >= 0; state.rest = state.rest.slice(end + 2)) {
    const block = { event: "message", data: [] };
    for (const line of state.rest.slice(0, end).split("\n")) {
      const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line);
      if (field === "data") block.data.push(value);
      else if (field === "event") block.event = value;
      else if (field === "id") state.cursor = value;
    }
    if (block.data.length > 0) yield block;
  }
}

function showEvent(block) {
  if (block.event === "welcome" || block.event === "goodbye") return;
  const text = block.data.join("\n");
  byId("live").prepend(entry(block.event, [new Date().toLocaleTimeString()], pretty(text), true));
  while (byId("live").children.length > kMaxFeed) byId("live").lastChild.remove();
}

async function follow(user, state, signal) {
  const response = await ask(`v1/stream?user=${encodeURIComponent(user)}`, { signal, headers: state.cursor ? { "Last-Event-ID": state.cursor } : {} });
  if (!response.ok) throw new Error((await response.json()).detail);
  pill(byId("live-state"), `watching ${user}`, "good");
  state.rest = "";
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let part; !(part = await reader.read()).done;) {
    for (const block of blocksOf(state, part.value)) showEvent(block);
  }
}

async function watch(user) {
  live?.abort();
  const controller = live = new AbortController();
  byId("live").replaceChildren();
  const state = { rest: "", cursor: "" };
  while (!controller.signal.aborted && token !== "") {
    try {
      await follow(user, state, controller.signal);
    } catch (error) {
      if (controller.signal.aborted) return;
      pill(byId("live-state"), error.message, "bad");
    }
    if (controller.signal.aborted) return;
    pill(byId("live-state"), "coming back", "warn");
    await new Promise((resume) => setTimeout(resume, 500 + Math.random() * 2000));
  }
}

// ---- polling ----

async function showReadiness() {
  const response = await ask("readyz");
  const answer = await response.json();
  pill(byId("readiness"), answer.ready ? "ready" : "not ready", answer.ready ? "good" : "bad");
  say(answer.ready ? "" : answer.reasons.join("\n"));
}

async function poll() {
  if (token !== "") {
    try {
      await showReadiness();
      const [handlers, topics] = await Promise.all([ask("v1/handlers"), ask("v1/topics")]);
      if (handlers.ok) showHandlers((await handlers.json()).handlers);
      if (topics.ok) {
        const all = (await topics.json()).topics;
        showTopics(all);
        await showLetters(all);
      }
    } catch (error) {
      pill(byId("readiness"), "no answer", "bad");
      say(token === "" ? "The token is not the admin token." : `The server does not answer: ${error.message}`);
    }
  }
  setTimeout(poll, kPollMs);
}

byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("millrace-token", byId("token").value.trim());
  byId("token").value = "";
  takeToken();
  say("");
});
byId("leave").addEventListener("click", forgetToken);
byId("live-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const user = byId("user").value.trim();
  if (user !== "") watch(user);
});

takeToken();
if (token !== "") {
  ask("healthz").then((response) => response.json()).then((health) => { byId("version").textContent = health.version; }).catch(() => {});
}
window.addEventListener("hashchange", takeToken);
poll();
