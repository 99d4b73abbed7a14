"use strict";
// The tools of a gallery: sorting, filtering, enlarging, saving a figure. Without scripts the page says the same, unsorted.
(() => {
  const tools = document.querySelector(".tools"), list = document.querySelector(".stimuli"), dialog = document.querySelector("dialog");
  if (!tools || !list || !dialog) return;
  const metrics = JSON.parse(tools.dataset.metrics), figure = JSON.parse(tools.dataset.figure);
  const cards = [...list.children].map((node, place) => ({
    node, place, scores: JSON.parse(node.dataset.scores), labels: JSON.parse(node.dataset.labels),
    name: node.querySelector("h3").textContent,
  }));
  const tool = (name) => tools.querySelector(`[data-tool=${name}]`);
  const option = (parent, value, text) => parent.appendChild(Object.assign(document.createElement("option"), {value, textContent: text}));

  // Sorting: by id as the page stands, or by a score with the best or the worst first; what has no score comes last.
  option(tool("sort"), "", "id");
  metrics.forEach((metric, at) => {
    const these = cards.length < Number(figure.tested) ? ` of these ${cards.length}` : "";
    option(tool("sort"), `${at}:1`, `${metric.title}, best${these} first`);
    option(tool("sort"), `${at}:-1`, `${metric.title}, worst${these} first`);
  });
  // Filtering: one label of one group.
  const groups = new Map();
  cards.forEach((card) => Object.entries(card.labels).forEach(([group, label]) => {
    if (!label) return;
    if (!groups.has(group)) groups.set(group, new Map());
    groups.get(group).set(label, (groups.get(group).get(label) ?? 0) + 1);
  }));
  option(tool("filter"), "", `all ${cards.length}`);
  [...groups.keys()].sort().forEach((group) => {
    const parent = tool("filter").appendChild(Object.assign(document.createElement("optgroup"), {label: group}));
    [...groups.get(group)].sort(([one], [other]) => (one < other ? -1 : 1)).forEach(([label, count]) => option(parent, JSON.stringify([group, label]), `${label} (${count})`));
  });
  let shown = cards;
  const arrange = () => {
    const [at, sign] = tool("sort").value.split(":").map(Number);
    const wanted = tool("filter").value ? JSON.parse(tool("filter").value) : null;
    const worth = (card) => (metrics[at].lower ? -1 : 1) * card.scores[at] * sign;
    const ordered = [...cards];
    if (tool("sort").value) ordered.sort((one, other) => {
      const [a, b] = [one.scores[at] === null, other.scores[at] === null];
      return a || b ? a - b || one.place - other.place : worth(other) - worth(one) || one.place - other.place;
    });
    ordered.forEach((card) => { card.node.hidden = wanted !== null && card.labels[wanted[0]] !== wanted[1]; });
    list.append(...ordered.map((card) => card.node));
    shown = ordered.filter((card) => !card.node.hidden);
    tools.querySelector("output").textContent = `${shown.length} of ${cards.length} shown`;
  };
  tool("sort").addEventListener("change", arrange);
  tool("filter").addEventListener("change", arrange);

  // Enlarging: what was shown beside the picture that was chosen; arrow keys go on to the next stimulus.
  let open = null;
  const shots = (card) => [...card.node.querySelectorAll(".shot")];
  const large = (shot) => {
    const copy = shot.cloneNode(true);
    copy.querySelectorAll("[role]").forEach((one) => ["role", "tabindex"].forEach((name) => one.removeAttribute(name)));
    return copy;
  };
  const enlarge = (card, at) => {
    const all = shots(card), seen = all[0], chosen = all[Math.min(at, all.length - 1)];
    open = {card, at};
    dialog.querySelector("h3").textContent = card.name;
    dialog.querySelector(".beside").replaceChildren(...(chosen === seen ? all.slice(0, 2) : [seen, chosen]).map(large));
    dialog.querySelector("p").textContent = [...card.node.querySelectorAll(".about p")].map((one) => one.textContent).join(" · ");
    dialog.classList.toggle("sounds", list.classList.contains("sounds"));
    if (!dialog.open) dialog.showModal();
  };
  const turn = (by) => {
    const place = shown.indexOf(open.card);
    enlarge(shown[(place + by + shown.length) % shown.length], open.at);
  };
  cards.forEach((card) => shots(card).forEach((shot, at) => {
    const image = shot.querySelector("img");
    if (!image) return;
    image.setAttribute("role", "button");
    image.tabIndex = 0;
    image.setAttribute("aria-label", `${image.alt}, enlarge`);
    image.addEventListener("click", () => enlarge(card, at));
    image.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      enlarge(card, at);
    });
  }));
  dialog.querySelectorAll("[data-turn]").forEach((button) => button.addEventListener("click", () => {
    const by = Number(button.dataset.turn);
    if (by) turn(by); else dialog.close();
  }));
  dialog.addEventListener("keydown", (event) => {
    const by = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (by && event.target.localName !== "audio") { event.preventDefault(); turn(by); }
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

  // Figures: the stimuli that are shown, a line each, with what brain this is below; pictures go in as PNG, which all programs read.
  const SIDE = 128, GAP = 10, HEAD = 46, NAME = 150, FOOT = 40;
  // What no XML may hold goes: control characters, and halves of letters.
  const escaped = (text) => text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "").replace(/[&<>"]/g, (one) => ({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})[one]);
  const wrapped = (text, letters) => {
    const lines = [""];
    text.split(/\s+/).forEach((word) => {
      const last = lines[lines.length - 1];
      if (last && last.length + word.length + 1 > letters) lines.push(word); else lines[lines.length - 1] = last ? `${last} ${word}` : word;
    });
    return lines.map((line) => ([...line].length > letters ? `${[...line].slice(0, letters - 1).join("")}…` : line));
  };
  const text = (x, y, lines, size, weight, fill) => lines.map((line, at) =>
    `<text x="${x}" y="${y + at * size * 1.25}" font-size="${size}" font-weight="${weight}" fill="${fill}">${escaped(line)}</text>`).join("");
  const png = async (image) => {
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), {width: image.naturalWidth, height: image.naturalHeight});
    canvas.getContext("2d").drawImage(image, 0, 0);
    return canvas.toDataURL("image/png");
  };
  const drawn = async () => {
    const some = shown.slice(0, Number(tool("rows").value));
    const wide = list.classList.contains("sounds") ? 3 * 64 : SIDE, high = list.classList.contains("sounds") ? 64 : SIDE;
    const heads = some.length ? shots(some[0]).map((one) => one.querySelector("figcaption").textContent) : [];
    const width = NAME + heads.length * (wide + GAP) + GAP;
    let height = HEAD + some.length * (high + GAP) + FOOT;
    const parts = heads.map((head, at) => text(NAME + at * (wide + GAP), 16, wrapped(head, Math.floor(wide / 6.6)).slice(0, 2), 12, 600, "#1b1d22"));
    for (const [row, card] of some.entries()) {
      const y = HEAD + row * (high + GAP);
      parts.push(text(GAP, y + 14, wrapped(card.name, 20).slice(0, 2), 12, 600, "#1b1d22"));
      const about = card.node.querySelector(".about p")?.textContent ?? "";
      parts.push(text(GAP, y + 46, wrapped(about, 22).slice(0, Math.max(1, Math.floor((high - 46) / 14))), 11, 400, "#545b67"));
      for (const [at, shot] of shots(card).entries()) {
        const image = shot.querySelector("img"), x = NAME + at * (wide + GAP);
        if (!image) { parts.push(text(x + 6, y + high / 2, [shot.querySelector(".hole").textContent], 11, 400, "#545b67")); continue; }
        const sharp = image.classList.contains("small") ? ' style="image-rendering:pixelated"' : "";
        const fit = list.classList.contains("sounds") ? "none" : "xMidYMid meet";
        parts.push(`<image x="${x}" y="${y}" width="${wide}" height="${high}" preserveAspectRatio="${fit}"${sharp} href="${await png(image)}"/>`);
      }
    }
    const order = tool("sort").selectedOptions[0].textContent, kept = tool("filter").selectedOptions[0].textContent;
    const inPage = cards.length < Number(figure.tested) ? ` of the ${cards.length} in this page` : "";
    const label = tool("filter").value ? ` (${kept} alone)` : "";
    const said = `${figure.badge ? `${figure.badge} · ` : ""}${some.length}${inPage} of ${figure.tested} tested, by ${order}${label} · ${figure.title}`;
    const foot = wrapped(said, Math.floor((width - 2 * GAP) / 5.8));
    parts.push(text(GAP, height - FOOT + 14, foot, 11, 400, "#545b67"));
    height += foot.length * 14 - FOOT + 24;
    return {width, height, svg: `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="Helvetica, Arial, sans-serif"><rect width="100%" height="100%" fill="#ffffff"/>${parts.join("")}</svg>`};
  };
  const save = (blob, name) => {
    const link = Object.assign(document.createElement("a"), {href: URL.createObjectURL(blob), download: name});
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  };
  const trying = (kind, make) => tool(kind).addEventListener("click", async () => {
    try { await make(); } catch (fault) { tools.querySelector("output").textContent = `The figure could not be saved: ${fault.message}`; }
  });
  trying("svg", async () => save(new Blob([(await drawn()).svg], {type: "image/svg+xml"}), `${figure.file}.svg`));
  trying("png", async () => {
    const {width, height, svg} = await drawn(), image = new Image();
    image.src = `data:image/svg+xml,${encodeURIComponent(svg)}`;
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), {width: 2 * width, height: 2 * height});
    canvas.getContext("2d").drawImage(image, 0, 0, 2 * width, 2 * height);
    canvas.toBlob((blob) => save(blob, `${figure.file}.png`), "image/png");
  });
  tools.hidden = false;
  arrange();
})();
