'use strict';
// The page works without this: it filters problems, reads their answers when they are opened, renders mathematics, and
// tells the curve's values. Every text of others is put in as text, never as HTML.
{
  const parts = document.currentScript.dataset.parts;
  const make = (tag, className, text) => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  // a kept run's page lies two folders deeper than the page that it is a second name of
  if (/\/runs\/[0-9a-f]{12}\/[^/]+$/.test(location.pathname)) {
    document.querySelectorAll('a[data-outside]').forEach(link => link.setAttribute('href', `../../${link.getAttribute('href')}`));
  }

  // mathematics: what stands between dollars or brackets, and boxes; what cannot be read stays as it was written
  const NESTED = String.raw`\{(?:[^{}]|\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})*\}`;
  const FORMULA = new RegExp(String.raw`\$\$([^$]+)\$\$|\\\[([^]+?)\\\]|\\\(([^]+?)\\\)|\$([^$\n]+)\$|(\\boxed\s*${NESTED})`, 'g');
  const LONGEST = 5000; // characters of a formula
  const render = element => {
    if (!window.temml || element.dataset.rendered) return;
    element.dataset.rendered = 'yes';
    const text = element.textContent, nodes = [];
    let end = 0;
    for (const found of text.matchAll(FORMULA)) {
      const display = found[1] ?? found[2], source = display ?? found[3] ?? found[4] ?? found[5];
      if (source.length > LONGEST) continue;
      const shown = make('span');
      try {
        temml.render(source, shown, {displayMode: display !== undefined, throwOnError: true, trust: false, maxExpand: 200, maxSize: [20, 50]});
      } catch { continue; }
      nodes.push(text.slice(end, found.index), shown);
      end = found.index + found[0].length;
    }
    if (nodes.length) element.replaceChildren(...nodes, text.slice(end));
  };
  document.querySelectorAll('main > .example .math').forEach(render);

  // answers: a script beside the page hands over those of some problems at a time
  const texts = new Map();
  window.reportTexts = (number, answers) => texts.set(number, answers);
  const read = number => new Promise((resolve, reject) => {
    if (texts.has(number)) return resolve(texts.get(number));
    const script = make('script');
    script.src = `${parts}/answers/${String(number).padStart(3, '0')}.js`;
    script.onload = () => (script.remove(), resolve(texts.get(number)));
    script.onerror = () => (script.remove(), reject(new Error(script.src)));
    document.head.append(script);
  });
  const answer = (name, one) => {
    const made = make('div', 'answer'), head = make('p');
    head.append(make('strong', '', name), ' ', make('span', `chip ${one.right ? 'right' : 'wrong'}`, one.right ? 'right' : 'wrong'), ' ', make('span', 'note', one.note));
    made.append(head);
    if (one.thoughts) {
      const fold = make('details'), text = make('pre', '', one.thoughts);
      text.tabIndex = 0;
      fold.append(make('summary', '', 'thoughts'), text);
      made.append(fold);
    }
    const said = make('div', 'text math', one.answer || 'no answer after the thoughts');
    made.append(said);
    render(said);
    return made;
  };
  const open = async problem => {
    const pair = problem.querySelector('.pair');
    if (problem.dataset.read) return;
    problem.dataset.read = 'yes';
    problem.querySelectorAll('.math').forEach(render);
    try {
      const found = (await read(Number(problem.dataset.texts)))[problem.dataset.id];
      pair.replaceChildren(...['base', 'tuned'].map(side => {
        const column = make('div');
        column.append(...found[side].map((one, number) => answer(found[side].length > 1 ? `${side} ${number + 1}` : side, one)));
        return column;
      }));
    } catch {
      delete problem.dataset.read;
      pair.replaceChildren(make('p', 'note', `The answers lie in ${parts}/answers beside the page, and are not there: copy the folder with the page.`));
    }
  };
  const problems = [...document.querySelectorAll('.problem')];
  for (const problem of problems) problem.addEventListener('toggle', () => problem.open && open(problem));

  // which problems are shown
  const filter = document.getElementById('filter');
  if (filter) {
    const words = problems.map(problem => `${problem.dataset.id} ${problem.textContent}`.toLowerCase());
    const apply = () => {
      const wanted = filter.querySelector('#words').value.toLowerCase().split(/\s+/).filter(Boolean);
      const chosen = [...filter.querySelectorAll('select')].filter(one => one.value);
      let shown = 0;
      problems.forEach((problem, place) => {
        const fits = wanted.every(word => words[place].includes(word)) &&
          chosen.every(({dataset: {key}, value}) => key === 'stops' ? problem.dataset.stops.split(' ').includes(value) : problem.dataset[key] === value);
        problem.hidden = !fits;
        shown += fits;
      });
      filter.querySelector('output').textContent = `${shown} of ${problems.length} problems`;
    };
    filter.hidden = false;
    filter.addEventListener('input', apply);
    filter.addEventListener('submit', event => event.preventDefault());
    apply();
  }

  // the curve's values at a step: by pointer, by touch, or by the arrow keys on the slider
  const course = JSON.parse(document.getElementById('course').textContent);
  const area = document.getElementById('loss-patch_2'), reader = document.getElementById('reader');
  if (course.length > 1 && area) {
    const svg = area.closest('svg'), slider = reader.querySelector('input'), told = reader.querySelector('output');
    const line = document.createElementNS('http://www.w3.org/2000/svg', 'line');
    line.setAttribute('class', 'reading');
    svg.append(line);
    const first = course[0][0], last = course[course.length - 1][0], box = area.getBBox();
    const tell = place => {
      const [step, loss, mean, lr, heldOut] = course[place];
      const x = box.x + (step - first) / (last - first) * box.width;
      for (const [name, value] of [['x1', x], ['x2', x], ['y1', box.y], ['y2', box.y + box.height]]) line.setAttribute(name, value);
      told.textContent = `step ${step}: loss ${loss}, running mean ${mean}, lr ${lr}${heldOut === null ? '' : `, held-out loss ${heldOut}`}`;
      slider.value = place;
    };
    slider.max = course.length - 1;
    slider.addEventListener('input', () => tell(Number(slider.value)));
    svg.addEventListener('pointermove', event => {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      const step = first + (at.x - box.x) / box.width * (last - first);
      const after = course.findIndex(row => row[0] >= step);
      tell(after < 0 ? course.length - 1 : after && step - course[after - 1][0] < course[after][0] - step ? after - 1 : after);
    });
    reader.hidden = false;
    tell(course.length - 1);
  }

  // paper has no folds; of all problems it holds the list, and the answers of those that were opened
  let opened = [];
  addEventListener('beforeprint', () => {
    opened = [...document.querySelectorAll('details:not(.problem, .problem *)')].filter(fold => !fold.open);
    opened.forEach(fold => { fold.open = true; });
  });
  addEventListener('afterprint', () => opened.forEach(fold => { fold.open = false; }));
}
