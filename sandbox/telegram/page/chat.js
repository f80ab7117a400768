"use strict";
// The chat page of the sandbox: shows /sandbox/state, follows /sandbox/events, acts through POST /sandbox/….

const $ = (id) => document.getElementById(id);
const COLOURS = ["#e17076", "#7bc862", "#65aadd", "#a695e7", "#ee7aae", "#6ec9cb", "#f0a35a"];
const state = { chats: new Map(), current: null, messages: new Map(), bot: null, chosen: 0, loads: 0, replyTo: null };

function el(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

async function get(path) {
  return (await fetch(path)).json();
}

async function post(action, body) {
  try {
    const response = await fetch(`/sandbox/${action}`, { method: "POST", body: JSON.stringify(body) });
    const got = await response.json();
    if (!got.ok) toast(got.error);
    return got;
  } catch {
    toast("The sandbox does not answer. Is it still running?");
    return { ok: false };
  }
}

let toastTimer;
function toast(text) {
  if (!text) return;
  $("toast").textContent = text;
  $("toast").hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => ($("toast").hidden = true), 3500);
}

// ---- chats --------------------------------------------------------------------------------------------------

async function loadChats() {
  const got = await get("/sandbox/state");
  state.bot = got.bot;
  for (const chat of got.chats) {
    state.chats.set(chat.id, { unread: 0, ...state.chats.get(chat.id), ...chat });
  }
  if (state.current === null && got.chats.length && innerWidth > 680) await open(got.chats[0].id);
  drawChats();
  drawHead();
}

function drawChats() {
  const people = [...state.chats.values()].filter((c) => c.type === "private");
  const others = [...state.chats.values()].filter((c) => c.type !== "private");
  $("chats").replaceChildren(
    el("h2", "", "Write to the bot as"), ...people.map(chatRow),
    ...(others.length ? [el("h2", "", "Channels and groups"), ...others.map(chatRow)] : []),
  );
}

function chatRow(chat) {
  const row = el("button", `chat${chat.id === state.current ? " on" : ""}`);
  const face = el("div", "face", [...chat.title][0]);
  face.style.background = COLOURS[Math.abs(chat.id) % COLOURS.length];
  const middle = el("div");
  middle.append(el("b", "", chat.title), el("span", "preview", (chat.last?.text || "no messages yet").slice(0, 80)));
  row.append(face, middle);
  if (chat.unread) row.append(el("span", "unread", chat.unread));
  row.onclick = () => open(chat.id);
  return row;
}

async function open(id) {
  state.current = id;
  state.chats.get(id).unread = 0;
  document.body.classList.add("in-chat");
  $("suggest").hidden = true;
  drawChats();
  drawHead();
  const load = ++state.loads;
  const { messages } = await get(`/sandbox/state?chat_id=${id}`);
  if (load !== state.loads) return;
  state.messages = new Map(messages.map((m) => [m.message_id, m]));
  drawLog();
  if (innerWidth > 680) $("text").focus();
}

function drawHead() {
  const chat = state.chats.get(state.current);
  if (!chat) return;
  const person = chat.type === "private";
  $("title").textContent = person ? state.bot.first_name : chat.title;
  $("subtitle").textContent = person
    ? `bot · you are ${chat.title} (${chat.language_code || "no language"})`
    : `${chat.type} · ${chat.bot_is_member ? "the bot sees its posts" : "the bot is not there"}`;
  $("add").hidden = person || chat.type !== "channel";
  $("add").textContent = chat.bot_is_member ? "Remove the bot" : "Add the bot";
  $("text").placeholder = person ? "Message" : "Post to the channel";
  $("attach").hidden = !person;
}

$("add").onclick = async () => {
  const chat = state.chats.get(state.current);
  const first = [...state.chats.values()].find((c) => c.type === "private");
  const action = chat.bot_is_member ? "remove_bot_from_channel" : "add_bot_to_channel";
  await post(action, { channel_id: chat.id, user_id: first.id });
  loadChats();
};
$("back").onclick = () => {
  document.body.classList.remove("in-chat");
  state.current = null;
  drawChats();
};

// ---- messages -----------------------------------------------------------------------------------------------

function drawLog() {
  const log = $("log");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 120;
  const shown = [...state.messages.values()].sort((a, b) => a.message_id - b.message_id);
  const rows = shown.map(messageRow);
  log.replaceChildren(...(rows.length ? rows : [el("p", "empty", "No messages here yet. Try /start")]));
  if (atEnd || log.dataset.chat !== String(state.current)) log.scrollTop = log.scrollHeight;
  log.dataset.chat = state.current;
}

function messageRow(message) {
  const chat = state.chats.get(state.current);
  const mine = chat.type === "private" && message.from?.id !== state.bot.id;
  const row = el("div", `row${mine ? " out" : ""}`);
  const bubble = el("div", "bubble");
  if (message.forward_origin) bubble.append(el("span", "from", `Forwarded from ${message.forward_origin.chat.title}`));
  if (message.document) bubble.append(el("span", "from", `📄 ${message.document.file_name}`));
  if (message.photo) bubble.append(picture(message.photo.at(-1)));
  bubble.append(formatted(message.text, message.entities));
  const time = new Date(message.date * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  bubble.append(el("span", "meta", (message.edit_date ? "edited " : "") + time));
  row.append(bubble);
  if (message.reply_markup?.inline_keyboard) row.append(keyboard(message));
  if (chat.type === "channel" && message.text) row.append(forwardButton(chat, message));
  if (chat.type === "private" && !mine) row.append(replyButton(message));
  return row;
}

function picture(photo) {
  // People's photos of the sandbox have no bytes.
  if (photo.file_size === undefined) return el("span", "from", "🖼 photo");
  const made = el("img", "picture");
  made.src = `/sandbox/pictures/${photo.file_id}`;
  return made;
}

function replyButton(message) {
  const made = el("button", "forward", "↩ Reply");
  made.type = "button";
  made.onclick = () => replyTo(message);
  return made;
}

// The next message answers this one; null: none.
function replyTo(message) {
  state.replyTo = message && message.message_id;
  $("reply").hidden = !message;
  $("reply").textContent = message ? `↩ ${message.text.split("\n")[0].slice(0, 60)} ✕` : "";
  $("text").focus();
}
$("reply").onclick = () => replyTo(null);

// Forwards a channel's post to the bot, as the first person, and opens that chat.
function forwardButton(chat, message) {
  const made = el("button", "forward", "↪ Forward to the bot");
  made.type = "button";
  made.onclick = async () => {
    const person = [...state.chats.values()].find((c) => c.type === "private");
    const { text, message_id, date } = message;
    const got = await post("forward", { user_id: person.id, channel: chat.id, message_id, text, date });
    if (got.ok) open(person.id);
  };
  return made;
}

function keyboard(message) {
  const keys = el("div", "keys");
  for (const buttons of message.reply_markup.inline_keyboard) {
    const line = el("div");
    for (const button of buttons) line.append(key(message, button));
    keys.append(line);
  }
  return keys;
}

function key(message, button) {
  if (button.url) {
    const link = el("a", "key", `${button.text} ↗`);
    if (/^https?:/i.test(button.url)) link.href = button.url;
    link.target = "_blank";
    link.rel = "noopener";
    return link;
  }
  const made = el("button", "key", button.text);
  made.onclick = async () => {
    made.classList.add("busy");
    const chat = state.chats.get(message.chat.id);
    const person = chat.type === "private" ? chat : [...state.chats.values()].find((c) => c.type === "private");
    const got = await post("press", {
      user_id: person.id, chat_id: chat.id, message_id: message.message_id, data: button.callback_data,
    });
    made.classList.remove("busy");
    if (got.answer?.show_alert) alert(got.answer.text);
    else toast(got.answer?.text);
  };
  return made;
}

// Entities nest: each level draws its own stretch of the text and the entities inside it.
function formatted(text, entities) {
  const sorted = [...(entities || [])].sort((a, b) => a.offset - b.offset || b.length - a.length);
  return stretch(text, sorted, 0, text.length);
}

function stretch(text, entities, from, to) {
  const out = document.createDocumentFragment();
  let at = from;
  while (entities.length) {
    const [entity, ...rest] = entities;
    const end = Math.min(entity.offset + entity.length, to);
    const inside = rest.filter((e) => e.offset < end);
    entities = rest.filter((e) => e.offset >= end);
    out.append(text.slice(at, entity.offset));
    const node = entityNode(entity, text.slice(entity.offset, end));
    node.append(stretch(text, inside, entity.offset, end));
    out.append(node);
    at = end;
  }
  out.append(text.slice(at, to));
  return out;
}

const TAGS = {
  bold: "b", italic: "i", underline: "u", strikethrough: "s", code: "code", pre: "pre", blockquote: "blockquote",
};

function entityNode(entity, text) {
  if (entity.type === "text_link" || entity.type === "url") {
    const link = el("a");
    const url = entity.url || text;
    if (/^(https?|tg):/i.test(url)) link.href = url;
    link.target = "_blank";
    link.rel = "noopener";
    return link;
  }
  if (entity.type === "bot_command") {
    const command = el("button", "cmd");
    command.onclick = () => send(text);
    return command;
  }
  if (entity.type === "expandable_blockquote") return unfolding("blockquote", "fold");
  if (entity.type === "spoiler") return unfolding("span", "spoiler");
  if (entity.type === "hashtag" || entity.type === "mention") return el("a");
  return el(TAGS[entity.type] || "span");
}

function unfolding(tag, className) {
  const made = el(tag, className);
  made.onclick = () => made.classList.toggle("open");
  return made;
}

// ---- composer -----------------------------------------------------------------------------------------------

async function send(text) {
  const chat = state.chats.get(state.current);
  if (!chat || !text.trim()) return;
  const reply_to = state.replyTo;
  replyTo(null);
  if (chat.type === "private") await post("send", { user_id: chat.id, text: text.trim(), reply_to });
  else if (chat.type === "channel") await post("channel_post", { channel_id: chat.id, text: text.trim() });
  else toast("Nobody writes to groups from here");
}

$("attach").onclick = () => $("file").click();
$("file").onchange = async () => {
  const file = $("file").files[0];
  $("file").value = "";
  if (!file) return;
  const content = await file.text();
  await post("send_document", { user_id: state.current, name: file.name, content, mime_type: file.type || undefined });
};

function suggestions() {
  const chat = state.chats.get(state.current);
  const typed = $("text").value;
  if (chat?.type !== "private" || !/^\/\w*$/.test(typed)) return [];
  return (chat.commands || []).filter((c) => `/${c.command}`.startsWith(typed.toLowerCase()));
}

function drawSuggestions() {
  const found = suggestions();
  state.chosen = Math.max(0, Math.min(state.chosen, found.length - 1));
  $("suggest").hidden = !found.length;
  $("suggest").replaceChildren(...found.map((command, at) => {
    const row = el("button", at === state.chosen ? "on" : "");
    row.type = "button";
    row.append(el("b", "", `/${command.command}`), el("span", "", command.description));
    row.onclick = () => submit(`/${command.command}`);
    return row;
  }));
}

// Inline mode: what the bot offers for "@bot words", a moment after the last letter.
let inlineTimer;
function askInline() {
  clearTimeout(inlineTimer);
  const chat = state.chats.get(state.current);
  const typed = $("text").value;
  const name = `@${state.bot?.username} `.toLowerCase();
  if (!chat || !typed.toLowerCase().startsWith(name)) return;
  const person = chat.type === "private" ? chat : [...state.chats.values()].find((c) => c.type === "private");
  inlineTimer = setTimeout(async () => {
    const got = await post("ask_inline", { user_id: person.id, text: typed.slice(name.length) });
    if (got.ok && $("text").value === typed) drawInline(chat, got);
  }, 300);
}

function drawInline(chat, offered) {
  const rows = offered.results.map((result) => {
    const row = el("button");
    row.type = "button";
    row.append(el("b", "", result.title), el("span", "", result.description || ""));
    row.onclick = () => { clearText(); sendResult(chat, result.text); };
    return row;
  });
  if (offered.button) rows.push(el("button", "", offered.button.text));
  $("suggest").hidden = !rows.length;
  $("suggest").replaceChildren(...rows);
}

function sendResult(chat, text) {
  if (chat.type === "private") post("send", { user_id: chat.id, text, via_bot: true });
  else send(text);
}

function clearText() {
  $("text").value = "";
  grow();
  drawSuggestions();
  $("text").focus();
}

function submit(text) {
  clearText();
  send(text);
}

function grow() {
  $("text").style.height = "auto";
  $("text").style.height = `${$("text").scrollHeight}px`;
}

$("text").oninput = () => { grow(); drawSuggestions(); askInline(); };
$("text").onkeydown = (event) => {
  const found = suggestions();
  if (found.length && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    state.chosen = (state.chosen + (event.key === "ArrowDown" ? 1 : -1) + found.length) % found.length;
    drawSuggestions();
    event.preventDefault();
  } else if (found.length && event.key === "Tab") {
    $("text").value = `/${found[state.chosen].command} `;
    drawSuggestions();
    event.preventDefault();
  } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    submit(found.length ? `/${found[state.chosen].command}` : $("text").value);
  } else if (event.key === "Escape") {
    $("suggest").hidden = true;
  }
};
$("composer").onsubmit = (event) => { event.preventDefault(); submit($("text").value); };

// ---- live ---------------------------------------------------------------------------------------------------

const EVENTS = {
  message: (event) => noteMessage(event, true),
  edit: (event) => noteMessage(event, false),
  delete(event) {
    if (event.chat_id !== state.current) return;
    state.messages.delete(event.message_id);
    drawLog();
  },
  action(event) {
    if (event.chat_id !== state.current) return;
    $("subtitle").textContent = "typing…";
    setTimeout(drawHead, 4000);
  },
  chats: loadChats,
  commands: loadChats,
};

function noteMessage(event, isNew) {
  const chat = state.chats.get(event.chat_id);
  if (!chat) return void loadChats();
  if (isNew || chat.last?.message_id === event.message.message_id) chat.last = event.message;
  if (event.chat_id === state.current) {
    state.messages.set(event.message.message_id, event.message);
    drawHead();
    drawLog();
  } else if (isNew) {
    chat.unread += 1;
  }
  drawChats();
}

function listen() {
  const source = new EventSource("/sandbox/events");
  source.onmessage = ({ data }) => {
    const event = JSON.parse(data);
    EVENTS[event.type]?.(event);
  };
  // Also after a lost connection: reload what was missed.
  source.onopen = async () => {
    await loadChats();
    if (state.current !== null) await open(state.current);
  };
}

listen();
