/* The surface of the demo: both hemispheres of fsaverage5 on a canvas, drawn by this page's own processor.

A pixel knows its vertex, so that what is pointed at is what is drawn; no WebGL, no library, nothing is fetched. The mesh
comes once, when a pattern first needs it; a pattern brings its values and the vertices of its regions. */
() => {
  const SIDE = 10242, COUNT = 2 * SIDE, EMPTY = -32768, STRONG = 2.5, STEP = 0.05, REACH = 232;
  const VIEWS = {lateral: [90, 0], medial: [-90, 0], ventral: [0, -90], dorsal: [0, 90], posterior: [0, 0]};
  const looks = {}, drawn = new WeakMap();
  let mesh = null;

  const unpack = async (text) => {
    const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'))).arrayBuffer();
  };
  const summed = (buffer, kind) => {
    const steps = new Int16Array(buffer), found = new kind(steps.length);
    for (let i = 0, sum = 0; i < steps.length; i++) { sum = (sum + steps[i]) | 0; found[i] = sum; }
    return found;
  };
  const wait = async (css) => {
    for (let tries = 0; tries < 600; tries++) {
      const found = document.querySelector(css);
      if (found) return found;
      await new Promise((go) => setTimeout(go, 50));
    }
    throw new Error('the mesh did not come');
  };

  /* coordinates (hemisphere, axis, vertex), faces (corner, face), normals as coordinates */
  const fetched = async () => {
    if (!document.querySelector('#cortex-mesh .mesh')) (await wait('button#cortex-ask, #cortex-ask button')).click();
    const texts = (await wait('#cortex-mesh .mesh')).dataset;
    const at = Float32Array.from(summed(await unpack(texts.coords), Int32Array), (one) => one * STEP);
    const faces = summed(await unpack(texts.faces), Int32Array);
    return {at, faces, normals: normalsOf(at, faces), depth: new Uint8Array(await unpack(texts.depth)),
      colours: new Uint8Array(await unpack(texts.colours))};
  };
  const normalsOf = (at, faces) => {
    const found = new Float32Array(at.length), n = faces.length / 3;
    for (let side = 0; side < 2; side++) {
      const x = side * 3 * SIDE, y = x + SIDE, z = y + SIDE;
      for (let f = 0; f < n; f++) {
        const a = faces[f], b = faces[n + f], c = faces[2 * n + f];
        const ux = at[x + b] - at[x + a], uy = at[y + b] - at[y + a], uz = at[z + b] - at[z + a];
        const vx = at[x + c] - at[x + a], vy = at[y + c] - at[y + a], vz = at[z + c] - at[z + a];
        const nx = uy * vz - uz * vy, ny = uz * vx - ux * vz, nz = ux * vy - uy * vx;
        for (const v of [a, b, c]) { found[x + v] += nx; found[y + v] += ny; found[z + v] += nz; }
      }
      for (let v = 0; v < SIDE; v++) {
        const long = Math.hypot(found[x + v], found[y + v], found[z + v]) || 1;
        found[x + v] /= long; found[y + v] /= long; found[z + v] /= long;
      }
    }
    return found;
  };

  /* what a figure shows: values (vertex,), masks as bits, `over` the regions of each vertex, the smallest first */
  const patternOf = async (figure) => {
    const values = new Int16Array(await unpack(figure.dataset.values)), bits = new Uint8Array(await unpack(figure.dataset.masks));
    const names = JSON.parse(figure.dataset.regions), wide = Math.ceil(COUNT / 8), sizes = names.map(() => 0);
    const has = (region, vertex) => (bits[region * wide + (vertex >> 3)] >> (vertex & 7)) & 1;
    names.forEach((_, region) => { for (let v = 0; v < COUNT; v++) sizes[region] += has(region, v); });
    const order = names.map((_, region) => region).sort((a, b) => sizes[a] - sizes[b]);
    const smallest = new Int16Array(COUNT).fill(-1);
    for (const region of [...order].reverse()) for (let v = 0; v < COUNT; v++) if (has(region, v)) smallest[v] = region;
    const over = (vertex) => order.filter((region) => has(region, vertex)).map((region) => names[region]);
    const rgb = new Uint8Array(3 * COUNT), {colours, depth} = mesh;
    for (let v = 0; v < COUNT; v++) {
      const z = Math.max(-1, Math.min(1, values[v] / 100 / STRONG)), row = 3 * Math.round(127 * (z + 1));
      const grey = 176 - Math.round(62 * depth[v] / 255);
      for (let k = 0; k < 3; k++) rgb[3 * v + k] = values[v] === EMPTY ? grey : colours[row + k];
    }
    return {values, names, has, over, smallest, rgb};
  };

  /* where a view is looked at from: degrees around, degrees up, both mirrored between the hemispheres */
  const lookOf = (figure) => {
    const key = figure.closest('[id$="-rest"]')?.id ?? 'rest';
    return looks[key] ??= {around: 90, up: 0, zoom: 1, marked: ''};
  };
  const turnOf = (look, side) => {
    const a = look.around * Math.PI / 180, e = look.up * Math.PI / 180, m = side ? 1 : -1;
    const ca = Math.cos(a), sa = Math.sin(a), ce = Math.cos(e), se = Math.sin(e);
    return {right: [ca, m * sa, 0], near: [m * sa * ce, -ca * ce, se], above: [-m * sa * se, ca * se, ce]};
  };
  const dot = (one, at, base, v) => one[0] * at[base + v] + one[1] * at[base + SIDE + v] + one[2] * at[base + 2 * SIDE + v];
  const fit = (look, wide, high) => {
    const tall = 150 * Math.abs(Math.cos(look.up * Math.PI / 180)) + 226 * Math.abs(Math.sin(look.up * Math.PI / 180));
    return look.zoom * Math.min(wide / 2 / REACH, high / tall);
  };

  const draw = (figure) => {
    const shown = drawn.get(figure), canvas = figure.querySelector('canvas'), look = lookOf(figure);
    const ratio = Math.max(1.5, Math.min(2, window.devicePixelRatio || 1));
    const wide = Math.round(canvas.clientWidth * ratio), high = Math.round(canvas.clientHeight * ratio);
    if (!shown || !wide || !high) return;
    if (canvas.width !== wide || canvas.height !== high) { canvas.width = wide; canvas.height = high; }
    const context = canvas.getContext('2d'), image = context.createImageData(wide, high);
    const pixels = new Uint32Array(image.data.buffer), front = new Float32Array(wide * high).fill(-1e9);
    const item = new Uint16Array(wide * high);
    for (let side = 0; side < 2; side++) rasterise(shown.pattern, look, side, {wide, high, pixels, front, item});
    outline(shown.pattern, look, {wide, high, pixels, item, thick: Math.round(ratio)});
    context.putImageData(image, 0, 0);
    Object.assign(shown, {wide, high, item});
    context.fillStyle = getComputedStyle(figure).color;
    context.font = `600 ${Math.round(13 * ratio)}px system-ui, sans-serif`;
    context.textBaseline = 'top';
    context.fillText('L', 4 * ratio, 3 * ratio);
    context.fillText('R', wide - 14 * ratio, 3 * ratio);
    for (const button of figure.querySelectorAll('[data-turn]')) {
      const [around, up] = VIEWS[button.dataset.turn];
      button.setAttribute('aria-pressed', String(around === look.around && up === look.up));
    }
    canvas.dataset.look = `${look.around} ${look.up} ${look.zoom.toFixed(2)}`;
  };

  const rasterise = (pattern, look, side, {wide, high, pixels, front, item}) => {
    const {at, normals, faces} = mesh, base = side * 3 * SIDE, n = faces.length / 3, turn = turnOf(look, side);
    const scale = fit(look, wide, high), left = side ? wide >> 1 : 0, right = side ? wide : wide >> 1;
    const px = new Float32Array(SIDE), py = new Float32Array(SIDE), pz = new Float32Array(SIDE);
    const red = new Float32Array(SIDE), green = new Float32Array(SIDE), blue = new Float32Array(SIDE);
    for (let v = 0; v < SIDE; v++) {
      px[v] = (left + right) / 2 + scale * dot(turn.right, at, base, v);
      py[v] = high / 2 - scale * dot(turn.above, at, base, v);
      pz[v] = dot(turn.near, at, base, v);
      const light = 0.7 + 0.3 * Math.max(0, dot(turn.near, normals, base, v)), c = 3 * (side * SIDE + v);
      red[v] = light * pattern.rgb[c]; green[v] = light * pattern.rgb[c + 1]; blue[v] = light * pattern.rgb[c + 2];
    }
    for (let f = 0; f < n; f++) {
      const a = faces[f], b = faces[n + f], c = faces[2 * n + f];
      const area = (px[b] - px[a]) * (py[c] - py[a]) - (py[b] - py[a]) * (px[c] - px[a]);
      if (area >= 0) continue;  // seen from within
      const x0 = Math.max(left, Math.ceil(Math.min(px[a], px[b], px[c]) - 0.5));
      const x1 = Math.min(right - 1, Math.floor(Math.max(px[a], px[b], px[c]) + 0.5));
      const y0 = Math.max(0, Math.ceil(Math.min(py[a], py[b], py[c]) - 0.5));
      const y1 = Math.min(high - 1, Math.floor(Math.max(py[a], py[b], py[c]) + 0.5));
      for (let y = y0; y <= y1; y++) for (let x = x0; x <= x1; x++) {
        const wb = ((x - px[a]) * (py[c] - py[a]) - (y - py[a]) * (px[c] - px[a])) / area;
        const wc = ((px[b] - px[a]) * (y - py[a]) - (py[b] - py[a]) * (x - px[a])) / area, wa = 1 - wb - wc;
        if (wa < 0 || wb < 0 || wc < 0) continue;
        const z = wa * pz[a] + wb * pz[b] + wc * pz[c], place = y * wide + x;
        if (z <= front[place]) continue;
        front[place] = z;
        item[place] = side * SIDE + (wa >= wb && wa >= wc ? a : wb >= wc ? b : c) + 1;
        pixels[place] = 0xff000000 | ((wa * blue[a] + wb * blue[b] + wc * blue[c]) << 16)
          | ((wa * green[a] + wb * green[b] + wc * green[c]) << 8) | (wa * red[a] + wb * red[b] + wc * red[c]);
      }
    }
  };

  /* the borders of regions, thin, and that of the marked one, black */
  const outline = (pattern, look, {wide, high, pixels, item, thick}) => {
    const marked = pattern.names.indexOf(look.marked), {smallest, has} = pattern;
    const edge = (here, place) => item[place] > 0 && smallest[item[place] - 1] !== smallest[here];
    const rim = (here, place) => item[place] > 0 && has(marked, item[place] - 1) !== has(marked, here);
    for (let y = 0; y < high - thick; y++) for (let x = 0; x < wide - thick; x++) {
      const place = y * wide + x, here = item[place] - 1;
      if (here < 0) continue;
      if (marked >= 0 && (rim(here, place + thick) || rim(here, place + thick * wide))) pixels[place] = 0xff000000;
      else if (edge(here, place + 1) || edge(here, place + wide)) pixels[place] = 0xff000000 | ((pixels[place] >> 1) & 0x7f7f7f);
    }
  };

  const redraw = (figure) => {
    const shown = drawn.get(figure);
    if (!shown || shown.asked) return;
    shown.asked = true;
    requestAnimationFrame(() => { shown.asked = false; draw(figure); });
  };
  const turn = (figure, around, up, zoom) => {
    const look = lookOf(figure);
    look.around = ((look.around + around + 540) % 360) - 180;
    look.up = Math.max(-90, Math.min(90, look.up + up));
    look.zoom = Math.max(0.6, Math.min(6, look.zoom * zoom));
    redraw(figure);
  };
  const vertexAt = (figure, event) => {
    const {item, wide, high} = drawn.get(figure) ?? {}, canvas = figure.querySelector('canvas'), box = canvas.getBoundingClientRect();
    const x = Math.floor((event.clientX - box.left) / box.width * wide), y = Math.floor((event.clientY - box.top) / box.height * high);
    return item && x >= 0 && y >= 0 && x < wide && y < high ? item[y * wide + x] - 1 : -1;
  };
  const number = (value) => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(2)}`;
  const say = (figure, vertex) => {
    const {pattern} = drawn.get(figure), names = pattern.over(vertex), value = pattern.values[vertex];
    const where = `${vertex < SIDE ? 'Left' : 'Right'} hemisphere, vertex ${(vertex % SIDE).toLocaleString('en')}`;
    const what = value === EMPTY ? 'no data' : `z ${number(value / 100)}`;
    const line = `${names.length ? `${names[0]}: ` : ''}${what}. ${where}${names.length > 1 ? `, also in ${names.slice(1).join(', ')}` : ''}.`;
    const caption = figure.querySelector('figcaption');
    if (caption.textContent !== line) caption.textContent = line;
  };

  const press = (section, region) => {
    for (const one of section.querySelectorAll('[data-region]')) one.setAttribute('aria-pressed', String(one.dataset.region === region));
  };
  /* a region is chosen: marked here, and the one of the tab Synthesize */
  const choose = (section, region) => {
    const figure = section.querySelector('.cortex'), note = section.querySelector('.chosen');
    if (figure) { lookOf(figure).marked = region; redraw(figure); }
    press(section, region);
    const pick = document.querySelector('#synthesize-pick');
    if (!note || !pick) return;
    pick.dataset.picked = `${region}\n${section.dataset.run}`;
    pick.click();
    note.querySelector('span').textContent = `${region} is chosen in Synthesize.`;
    note.querySelector('.go').hidden = false;
  };
  /* the view of the five that sees most of a region */
  const face = (figure, region) => {
    const {pattern} = drawn.get(figure) ?? {}, which = pattern ? pattern.names.indexOf(region) : -1;
    if (which < 0) return;
    const worth = (look) => [0, 1].reduce((sum, side) => {
      const near = turnOf(look, side).near;
      for (let v = 0; v < SIDE; v++) if (pattern.has(which, side * SIDE + v)) sum += Math.max(0, dot(near, mesh.normals, side * 3 * SIDE, v));
      return sum;
    }, 0);
    const [best] = Object.values(VIEWS).map(([around, up]) => [worth({around, up}), around, up]).sort((a, b) => b[0] - a[0]);
    if (best[0] > 0) Object.assign(lookOf(figure), {around: best[1], up: best[2]});
  };

  const listen = (figure) => {
    const canvas = figure.querySelector('canvas'), held = new Map();
    let moved = 0;
    const gap = () => { const [a, b] = [...held.values()]; return Math.hypot(a.x - b.x, a.y - b.y) || 1; };
    canvas.addEventListener('pointerdown', (event) => {
      held.set(event.pointerId, {x: event.clientX, y: event.clientY});
      canvas.setPointerCapture(event.pointerId);
      if (held.size === 1) moved = 0;
    });
    canvas.addEventListener('pointermove', (event) => {
      const old = held.get(event.pointerId);
      if (!old) { const vertex = vertexAt(figure, event); if (vertex >= 0) say(figure, vertex); return; }
      const before = held.size === 2 ? gap() : 0, dx = event.clientX - old.x, dy = event.clientY - old.y;
      held.set(event.pointerId, {x: event.clientX, y: event.clientY});
      moved += Math.abs(dx) + Math.abs(dy);
      const box = canvas.getBoundingClientRect(), mirror = event.clientX - box.left < box.width / 2 ? 1 : -1;
      if (held.size === 2) turn(figure, 0, 0, gap() / before);
      else if (held.size === 1 && moved > 4) turn(figure, 0.6 * mirror * dx, 0.6 * dy, 1);
    });
    canvas.addEventListener('pointerup', (event) => {
      const alone = held.size === 1, vertex = alone && moved <= 4 ? vertexAt(figure, event) : -1;
      held.delete(event.pointerId);
      if (vertex < 0) return;
      say(figure, vertex);
      const section = figure.closest('.brain'), known = [...section.querySelectorAll('[data-region]')].map((one) => one.dataset.region);
      const region = drawn.get(figure).pattern.over(vertex).find((one) => known.includes(one));
      if (region) choose(section, region);
    });
    canvas.addEventListener('pointercancel', (event) => held.delete(event.pointerId));
    canvas.addEventListener('wheel', (event) => {
      if (document.activeElement !== canvas && !event.ctrlKey) return;  // the page scrolls
      event.preventDefault();
      turn(figure, 0, 0, Math.exp(-event.deltaY / 400));
    }, {passive: false});
    canvas.addEventListener('keydown', (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      const by = {ArrowLeft: [-10, 0, 1], ArrowRight: [10, 0, 1], ArrowUp: [0, 10, 1], ArrowDown: [0, -10, 1], '+': [0, 0, 1.25],
        '=': [0, 0, 1.25], '-': [0, 0, 0.8]}[event.key];
      if (event.key === '0') Object.assign(lookOf(figure), {around: 90, up: 0, zoom: 1});
      else if (!by) return;
      event.preventDefault();
      turn(figure, ...(by ?? [0, 0, 1]));
    });
    new ResizeObserver(() => redraw(figure)).observe(canvas);
  };

  document.addEventListener('click', (event) => {
    const button = event.target.closest && event.target.closest('.brain button');
    if (!button) return;
    const section = button.closest('.brain'), figure = section.querySelector('.cortex');
    if (button.dataset.turn) {
      const [around, up] = VIEWS[button.dataset.turn];
      Object.assign(lookOf(figure), {around, up});
      redraw(figure);
    }
    if (button.dataset.zoom) turn(figure, 0, 0, Number(button.dataset.zoom));
    if (button.dataset.region) { if (figure) face(figure, button.dataset.region); choose(section, button.dataset.region); }
    if (button.classList.contains('go'))
      [...document.querySelectorAll('button[role=tab]')].find((one) => one.textContent.trim() === 'Synthesize')?.click();
  });

  const mount = async (figure) => {
    figure.dataset.mounted = 'yes';
    try {
      mesh ??= fetched().then((found) => { mesh = found; });
      await mesh;
      drawn.set(figure, {pattern: await patternOf(figure)});
      listen(figure);
      press(figure.closest('.brain'), lookOf(figure).marked);
      draw(figure);
    } catch (error) {
      figure.querySelector('figcaption').textContent = `This browser cannot draw the surface (${error.message}); the bars hold what it would show by region.`;
    }
  };
  const look = () => document.querySelectorAll('.cortex:not([data-mounted])').forEach(mount);
  look();
  new MutationObserver(look).observe(document.body, {childList: true, subtree: true});
}
